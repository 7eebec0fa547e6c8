import { type Html, html } from "./html.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNITS: [unit: string, milliseconds: number][] = [
  ["day", DAY],
  ["hour", HOUR],
  ["minute", MINUTE],
  ["second", SECOND],
];

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** 12345 -> "12,345" */
export function count(value: number): string {
  return whole.format(value);
}

/** 1.2345 -> "1.23"; 12345.6 -> "12,346" */
export function rate(value: number): string {
  return value >= 100 ? whole.format(value) : short.format(value);
}

/** 12345 -> "12.3K" */
export function brief(value: number): string {
  return value >= 10_000 ? compact.format(value) : short.format(value);
}

/** 1, "session" -> "1 session" */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
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

/** Milliseconds, in the largest unit that they fill. */
export function span(milliseconds: number): string {
  const rounded = Math.round(milliseconds);
  const found = UNITS.find(([, length]) => rounded >= length);
  if (found === undefined) return `${rounded} ms`;
  const [unit, length] = found;
  const value = unit === "second" ? Math.round(rounded / 100) / 10 : Math.floor(rounded / length);
  return `${rate(value)} ${unit}${value === 1 ? "" : "s"}`;
}

/** How long before or after now. */
export function fromNow(date: Date, now: number): string {
  const passed = now - date.getTime();
  if (Math.abs(passed) < 5 * SECOND) return "now";
  const length = span(Math.max(Math.abs(passed), SECOND)).replace(/\.\d/, "");
  return passed > 0 ? `${length} ago` : `in ${length}`;
}

/** The instant, for people and machines. */
export function instant(date: Date): Html {
  const text = date.toISOString();
  return html`<time datetime="${text}">${text.slice(0, 10)} ${text.slice(11, 16)}</time>`;
}

/** How long before or after now, with the instant at hand. */
export function relative(date: Date, now: number): Html {
  const text = date.toISOString();
  const exact = `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
  return html`<time datetime="${text}" title="${exact}">${fromNow(date, now)}</time>`;
}

/** "13:05", in UTC. */
export function clockTime(date: Date): string {
  return date.toISOString().slice(11, 16);
}

/** "Tue 24", in UTC. */
export function weekday(date: Date): string {
  return `${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][date.getUTCDay()]} ${date.getUTCDate()}`;
}

/** Enough of an id to tell it from others. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
