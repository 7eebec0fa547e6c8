const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const SHOWN = 12;

/** Formats a whole number: 12345 -> "12,345" */
export function count(value: number): string {
  return whole.format(value);
}

/** Formats a number with its noun: 1, "session" -> "1 session"; 2, "session" -> "2 sessions" */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Formats a rate to three significant digits at least: 1.2345 -> "1.23", 12345.6 -> "12,346" */
export function rate(value: number): string {
  return value >= 100 ? whole.format(value) : short.format(value);
}

/** Formats a number of bytes, like PostgreSQL's pg_size_pretty with 1 kB = 1024 bytes. */
export function bytes(value: number): string {
  if (value === 1) return "1 byte";
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${rate(size)} ${units[unit]}`;
}

/** Shortens an id to its first 12 characters. With `hashTokens: false` the whole id would be the token. */
export function shortId(id: string): string {
  return id.slice(0, SHOWN);
}

/** Formats a duration: 90_000 -> "2 min". @param milliseconds - not negative */
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
