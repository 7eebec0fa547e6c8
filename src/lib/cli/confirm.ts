import { createInterface } from "node:readline/promises";
import { UsageError } from "./failures.ts";

/**
 * Asks on the terminal, unless `--yes` has said so.
 *
 * @returns whether to go on
 * @throws UsageError when there is nobody to ask
 */
export async function confirmed(question: string, yes: boolean | undefined): Promise<boolean> {
  if (yes === true) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UsageError("this ends sessions: say --yes where nobody can be asked");
  }
  // On standard error, so that --json leaves one document on standard output.
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
