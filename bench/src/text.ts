import type { Spread } from "./stats.ts";

/** A table of results, ready to be shown; the first column names the row, the others are numbers. */
export interface ResultTable {
  title: string;
  columns: readonly string[];
  rows: readonly (readonly string[])[];
}

/** A number as people read it: 12,345, 12.3, 1.234. */
export function numberText(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}

/** The median, and the range of the rounds: 12,345 [11,900–13,000]. */
export function spreadText({ median, min, max }: Spread): string {
  const text = numberText(median);
  return min === max ? text : `${text} [${numberText(min)}–${numberText(max)}]`;
}

/** For a terminal. */
export function plainTable({ title, columns, rows }: ResultTable): string {
  const widths = columns.map((column, n) => Math.max(column.length, ...rows.map((row) => (row[n] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join("  ");
  return [title, line(columns), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

/** For Markdown, without the title. */
export function markdownTable({ columns, rows }: ResultTable): string {
  const line = (row: readonly string[]): string => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = `| ${columns.map((_, n) => (n === 0 ? "---" : "--:")).join(" | ")} |`;
  return [line(columns), rule, ...rows.map(line)].join("\n");
}
