import { rate } from "../../core/format-number.ts";
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

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** Formats a number for an axis: 12345 as "12.3K". */
export function brief(value: number): string {
  return value >= 10_000 ? compact.format(value) : rate(value);
}

/** Formats milliseconds in the largest unit that they fill. */
export function span(milliseconds: number): string {
  const rounded = Math.round(milliseconds);
  const found = UNITS.find(([, length]) => rounded >= length);
  if (found === undefined) return `${rounded} ms`;
  const [unit, length] = found;
  const value = unit === "second" ? Math.round(rounded / 100) / 10 : Math.floor(rounded / length);
  return `${rate(value)} ${unit}${value === 1 ? "" : "s"}`;
}

/** Formats the distance of an instant from now: "7 seconds ago", "in 1 day". */
export function fromNow(date: Date, now: number): string {
  const passed = now - date.getTime();
  if (Math.abs(passed) < 5 * SECOND) return "now";
  const length = span(Math.max(Math.abs(passed), SECOND)).replace(/\.\d/, "");
  return passed > 0 ? `${length} ago` : `in ${length}`;
}

/** Renders an instant in UTC, to the minute. */
export function instant(date: Date): Html {
  const text = date.toISOString();
  return html`<time datetime="${text}">${text.slice(0, 10)} ${text.slice(11, 16)}</time>`;
}

/** Renders the distance of an instant from now, with the instant as a tooltip. */
export function relative(date: Date, now: number): Html {
  const text = date.toISOString();
  const exact = `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
  return html`<time datetime="${text}" title="${exact}">${fromNow(date, now)}</time>`;
}

/** Formats a time in UTC: "13:05". */
export function clockTime(date: Date): string {
  return date.toISOString().slice(11, 16);
}

/** Formats a day in UTC: "Tue 24". */
export function weekday(date: Date): string {
  return `${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][date.getUTCDay()]} ${date.getUTCDate()}`;
}
