import type { ExitCode } from "./failures.ts";

/** What a command has to say at its end. */
export interface Answer {
  /** For people. */
  text: string;
  /** For programs: with --json the one document on standard output. */
  json: unknown;
  exitCode: ExitCode;
}
