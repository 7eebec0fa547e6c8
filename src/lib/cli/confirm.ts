import { createInterface } from "node:readline/promises";
import { UsageError } from "./failures.ts";

/** Whom to ask. The question goes to standard error, so that --json leaves one document on standard output. */
export interface Terminal {
  input: NodeJS.ReadableStream & { isTTY?: boolean };
  output: NodeJS.WritableStream & { isTTY?: boolean };
}

/**
 * Asks on the terminal, unless `--yes` has said so.
 *
 * @returns whether to go on
 * @throws UsageError when there is nobody to ask
 */
export async function confirmed(
  question: string,
  yes: boolean | undefined,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (yes === true) return true;
  if (input.isTTY !== true || output.isTTY !== true) {
    throw new UsageError("this ends sessions: say --yes where nobody can be asked");
  }
  const terminal = createInterface({ input, output });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } catch (error) {
    // Ctrl-C and Ctrl-D are a no, which leaves the question's line.
    if ((error as Error).name !== "AbortError") throw error;
    output.write("\n");
    return false;
  } finally {
    terminal.close();
  }
}
