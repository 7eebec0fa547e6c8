import { count, rate } from "../../core/format-number.ts";
import { type Html, html } from "./html.ts";

const UNITS: [unit: string, milliseconds: number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1000],
];

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** Formats a number for an axis: 12345 as "12.3K". */
export function brief(value: number): string {
  return value >= 10_000 ? compact.format(value) : rate(value);
}

const words = new Intl.NumberFormat("en", {
  notation: "compact",
  compactDisplay: "long",
  maximumSignificantDigits: 2,
});

/** Rounds an estimate to two digits, so that it does not look like a count: 1234567 to 1200000. */
export function rounded(value: number): number {
  return Number(value.toPrecision(2));
}

/** Formats an estimate: 1234567 as "about 1.2 million". */
export function about(value: number): string {
  return `about ${value >= 1e6 ? words.format(value) : count(rounded(value))}`;
}

/** Formats milliseconds in the largest unit that they fill. */
export function span(milliseconds: number): string {
  const whole = Math.round(milliseconds);
  const found = UNITS.find(([, length]) => whole >= length);
  if (found === undefined) return `${whole} ms`;
  const [unit, length] = found;
  const value = unit === "second" ? Math.round(whole / 100) / 10 : Math.floor(whole / length);
  return `${rate(value)} ${unit}${value === 1 ? "" : "s"}`;
}

/** Formats the distance of an instant from now: "7 seconds ago", "in 1 day". */
export function fromNow(date: Date, now: number): string {
  const passed = now - date.getTime();
  if (Math.abs(passed) < 5000) return "now";
  const length = span(Math.max(Math.abs(passed), 1000)).replace(/\.\d/, "");
  return passed > 0 ? `${length} ago` : `in ${length}`;
}

/** Renders an instant in UTC, to the minute. */
export function instant(date: Date): Html {
  return time(date, date.toISOString().slice(0, 16).replace("T", " "));
}

/** Renders the distance of an instant from now, with the instant as a tooltip. */
export function relative(date: Date, now: number): Html {
  return time(date, fromNow(date, now));
}

/** Renders an instant's time of the day in UTC, to the second. */
export function instantOfDay(date: Date): Html {
  return time(date, date.toISOString().slice(11, 19));
}

/** Renders an instant by a text, with the whole instant as a tooltip: "2026-11-30 01:02:03 UTC". */
function time(date: Date, text: string): Html {
  const iso = date.toISOString();
  return html`<time datetime="${iso}" title="${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC">${text}</time>`;
}

/** Formats a time in UTC: "13:05". */
export function clockTime(date: Date): string {
  return date.toISOString().slice(11, 16);
}

/** Formats a day in UTC: "Tue 24". */
export function weekday(date: Date): string {
  return `${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][date.getUTCDay()]} ${date.getUTCDate()}`;
}
