import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import type { CommonOptions } from "./connection.ts";
import { EXIT, failureOf } from "./failures.ts";
import { programOf } from "./program.ts";
import { redactor } from "./redact.ts";

/**
 * Runs the command line, and sets the process's exit code.
 *
 * @param args - without the names of Node and of the program
 */
export async function main(args: string[]): Promise<void> {
  const urls = args.flatMap((arg) => (/:\/\//.test(arg) ? [arg.replace(/^--[a-z-]+=/, "")] : []));
  const redact = redactor([...urls, process.env["DATABASE_URL"]]);
  // Whoever reads our output may have enough of it, as head does.
  process.stdout.on("error", (error: { code?: string }) =>
    process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.problem),
  );
  const program = programOf(versionOfPackage(), async (command, work) => {
    const { json = false, debug = false } = command.opts<CommonOptions>();
    try {
      const answer = await work();
      const text = json ? JSON.stringify(answer.json, null, 2) : answer.text;
      process.stdout.write(`${redact(text)}\n`);
      process.exitCode = answer.exitCode;
    } catch (error) {
      report(error, json, debug);
    }
  });
  const report = (error: unknown, json: boolean, debug: boolean): void => {
    const { exitCode, code, message } = failureOf(error);
    process.exitCode = exitCode;
    if (json) process.stdout.write(`${redact(JSON.stringify({ error: { code, message } }, null, 2))}\n`);
    process.stderr.write(redact(`pgstore: ${message}\n`));
    if (debug && error instanceof Error) process.stderr.write(redact(`${error.stack}\n`));
  };
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ outputError: () => {} });
  }
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    // Without a command: its help was written already.
    if (error instanceof CommanderError && error.code === "commander.help") process.exitCode = EXIT.usage;
    else report(error, args.includes("--json"), args.includes("--debug"));
  }
}

function versionOfPackage(): string {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
