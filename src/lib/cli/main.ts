import { EXIT, type ExitCode } from "./answer.ts";
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import type { CommonOptions } from "./connection.ts";
import { failureOf, isOurs, redact, redactForeign, TableProblemError, UsageError } from "./failures.ts";
import { addCommands } from "./program.ts";
import { COLOURED, hanging, PLAIN, type Style, styleOf } from "./style.ts";

/** Destinations of the output. */
interface Output {
  out(text: string): void;
  err(text: string): void;
  /** Default: no colours, no line breaks. */
  outStyle?: Style;
  errStyle?: Style;
}

/**
 * Runs the command line.
 *
 * @param args - without the names of Node and of the program
 * @returns the exit code
 */
export async function main(args: string[], output = standardOutput()): Promise<ExitCode> {
  const { out, err, outStyle = PLAIN, errStyle = PLAIN } = output;
  const foreign = (text: string): string => {
    const { DATABASE_URL, PGPASSWORD } = process.env;
    return redactForeign(text, [...args.map((arg) => arg.replace(/^--[a-z-]+=/, "")), DATABASE_URL], PGPASSWORD);
  };
  const report = (error: unknown, { json, debug }: CommonOptions): ExitCode => {
    const { exitCode, code, message: text } = failureOf(error, foreign);
    const message = redact(text);
    if (json === true) out(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
    const isInTwo = errStyle.isTTY && error instanceof TableProblemError;
    const { problem, remedy } = isInTwo ? error : { problem: text };
    err(`${hanging("pgstore: ", redact(problem), errStyle, undefined, errStyle.red)}\n`);
    if (remedy !== undefined) err(`${hanging("      -> ", redact(remedy), errStyle, errStyle.cyan, errStyle.dim)}\n`);
    if (debug === true && error instanceof Error) {
      const stack = String(error.stack);
      err(`${redact(isOurs(error) ? stack : foreign(stack))}\n`);
    }
    return exitCode;
  };
  // Every command inherits these settings.
  const program = new Command("pgstore")
    .exitOverride()
    .configureOutput({
      writeOut: out,
      writeErr: err,
      outputError: () => {},
      getOutHasColors: () => outStyle.hasColors,
      getErrHasColors: () => errStyle.hasColors,
    })
    // Commander removes these colours where the output has none.
    .configureHelp({
      styleTitle: COLOURED.bold,
      styleCommandText: COLOURED.cyan,
      styleOptionTerm: COLOURED.cyan,
      styleSubcommandTerm: COLOURED.cyan,
      subcommandTerm: (subcommand) => subcommand.name(),
    })
    .version(versionOfPackage(), "-V, --version", "show the version");
  let exitCode: ExitCode = EXIT.ok;
  addCommands(program, async (command, work) => {
    const options = command.opts<CommonOptions>();
    try {
      const { text, json, ...answer } = await work();
      const shown = typeof text === "function" ? text(outStyle) : text;
      out(`${options.json === true ? JSON.stringify(json, null, 2) : shown}\n`);
      exitCode = answer.exitCode;
    } catch (error) {
      exitCode = report(error, options);
    }
  });
  try {
    readEnvironmentFile();
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    // Commander has printed the help already, as no command was given.
    if (error instanceof CommanderError && error.code === "commander.help") return EXIT.usage;
    return report(error, { json: args.includes("--json"), debug: args.includes("--debug") });
  }
}

/** Adds the variables of the working directory's .env file to the environment. Those that are set already stay. */
function readEnvironmentFile(): void {
  try {
    process.loadEnvFile();
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "ENOENT" && code !== "EISDIR") throw new UsageError(`.env: can't be read (${code})`);
  }
}

function standardOutput(): Output {
  // A reader such as head may close the pipe early.
  process.stdout.on("error", (error: { code?: string }) =>
    process.exit(error.code === "EPIPE" ? EXIT.ok : EXIT.problem),
  );
  return {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    outStyle: styleOf(process.stdout),
    errStyle: styleOf(process.stderr),
  };
}

function versionOfPackage(): string {
  const manifest = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
