const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const SHOWN = 12;

/** 12345 -> "12,345" */
export function count(value: number): string {
  return whole.format(value);
}

/** 1, "session" -> "1 session" */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** 1.2345 -> "1.23"; 12345.6 -> "12,346" */
export function rate(value: number): string {
  return value >= 100 ? whole.format(value) : short.format(value);
}

/** Bytes as PostgreSQL's pg_size_pretty has them: 1 kB is 1024. */
export function bytes(value: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${rate(size)} ${units[unit]}`;
}

/** Enough of an id to tell it from others; on a table with `hashTokens: false` the whole of it would be the token. */
export function shortId(id: string): string {
  return id.slice(0, SHOWN);
}

/** 90_000 -> "2 min". @param milliseconds - not negative */
export function durationText(milliseconds: number): string {
  const steps: [number, string][] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
  ];
  const [length, unit] = steps.find(([length]) => milliseconds >= length) ?? [1, "ms"];
  return `${Math.round(milliseconds / length)} ${unit}`;
}
