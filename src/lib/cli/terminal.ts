import { createInterface } from "node:readline/promises";
import { durationText } from "../core/format-number.ts";
import { after } from "../core/time.ts";
import { PLAIN, type Style } from "./style.ts";
import { InterruptedError, UsageError } from "./failures.ts";
import type { Progress } from "./progress.ts";

/** Escapes the characters of a foreign text that a terminal would obey. */
export function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/** Quotes an argument for a shell, if it needs that. */
export function shellQuoted(text: string): string {
  return /^[\w.@:/+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * Aligns columns. The first row is the header.
 *
 * @param style - of the terminal, at whose edge the last column is cut
 * @param gap - the text between two columns
 */
export function columns(
  rows: readonly (readonly string[])[],
  { style = PLAIN, gap = "  " }: { style?: Style; gap?: string } = {},
): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return rows
    .map((row, n) => {
      const line = row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join(gap)
        .trimEnd();
      const shown = line.length > style.width ? `${line.slice(0, style.width - 1)}…` : line;
      return n === 0 && style.isTTY ? style.dim(shown) : shown;
    })
    .join("\n");
}

/** Writes an instant to the second. */
export function instant(date: Date): string {
  return `${date.toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** Writes an instant as a distance: "2 min ago", "in 3 h". @param now - milliseconds since 1970 */
export function relative(date: Date, now: number): string {
  const distance = date.getTime() - now;
  return distance > 0 ? `in ${durationText(distance)}` : `${durationText(-distance)} ago`;
}

/** The terminal to ask on: by default standard error, so that --json prints one document on standard output. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream & { isTTY?: boolean };
}

/**
 * Asks for confirmation on the terminal, unless `--yes` was passed.
 *
 * @returns whether to go on
 * @throws UsageError when there is no terminal
 */
export async function confirmed(
  question: string,
  yes: boolean | undefined,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (yes === true) return true;
  if (input.isTTY !== true || output.isTTY !== true) {
    throw new UsageError("Refusing to revoke sessions without confirmation. Pass --yes to confirm.");
  }
  const terminal = createInterface({ input, output });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } catch (error) {
    // Ctrl-C and Ctrl-D mean no, and leave the cursor on the question's line.
    if ((error as Error).name !== "AbortError") throw error;
    output.write("\n");
    return false;
  } finally {
    terminal.close();
  }
}

/** npm and npx may send a Ctrl-C on, so that it comes twice within milliseconds. */
const SAME_SIGNAL_MS = 500;

/** Calls `stop` at the first Ctrl-C or SIGTERM. The second ends the process. @returns a function that stops listening */
export function onStop(stop: () => unknown): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  const ignore = (): void => signals.forEach((signal) => process.off(signal, hear));
  let isHeard = false;
  const hear = (): void => {
    if (isHeard) return;
    isHeard = true;
    after(SAME_SIGNAL_MS, ignore);
    stop();
  };
  for (const signal of signals) process.on(signal, hear);
  // Work that has stopped at once must not die of the same Ctrl-C.
  return () => {
    if (!isHeard) ignore();
  };
}

/** Ends the text of an interrupted command. */
export const INTERRUPTED = "Interrupted. Run it again to continue.";

/**
 * Runs some work that the first Ctrl-C stops in good order.
 *
 * @param progress - of the work, whose line is ended with it
 * @returns whether it was stopped
 */
export async function interruptible(
  progress: Progress,
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<boolean> {
  const controller = new AbortController();
  const ignore = onStop(() => controller.abort(new InterruptedError()));
  try {
    await work(controller.signal);
    return false;
  } catch (error) {
    if (error instanceof InterruptedError) return true;
    throw error;
  } finally {
    progress.finish();
    ignore();
  }
}
