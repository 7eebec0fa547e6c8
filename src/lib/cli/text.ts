/** A text of somebody's, without what a terminal would obey. */
export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/** Columns under each other; the first line is the head. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A length of time, roughly. @param milliseconds - not negative */
export function lasting(milliseconds: number): string {
  const steps: [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
  ];
  const [length, unit] = steps.find(([length]) => milliseconds >= length) ?? [1, "ms"];
  return `${Math.round(milliseconds / length)} ${unit}`;
}

/** An instant to the second. */
export function instant(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace("T", " ")}Z`;
}
