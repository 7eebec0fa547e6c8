import { Command, InvalidArgumentError, Option } from "commander";
import type { Answer } from "./answer.ts";
import { check } from "./check.ts";
import { cleanup } from "./cleanup.ts";
import { dashboardCommand } from "./dashboard.ts";
import { demo } from "./demo/serve.ts";
import { importSessions } from "./import/import.ts";
import { LAYOUTS } from "./connection.ts";
import { SOURCES } from "./import/source.ts";
import { list } from "./list.ts";
import { migrate } from "./migrate.ts";
import { revoke } from "./revoke.ts";
import { stats } from "./stats.ts";

const EXIT_CODES = `
Exit codes:
  0  done, nothing is wrong
  1  a check has found something, or not all was done, or the database refused it
  2  the command line is wrong, or there is nobody to confirm it
  3  the database can't be reached, or the driver is missing
  4  the table is missing, or not as it should be`;

/** Runs what a command does, and tells its answer. */
export type Run = (command: Command, work: () => Promise<Answer>) => Promise<void>;

/** The command line: every command with its options, its help and an example. */
export function programOf(version: string, run: Run): Command {
  const program = new Command("pgstore")
    .description("Looks after the sessions that pgstore keeps in PostgreSQL.")
    .version(version)
    .showSuggestionAfterError()
    .addHelpText("after", EXIT_CODES)
    .addHelpText(
      "after",
      "\nExample:\n  DATABASE_URL=postgres://me@db/app npx pgstore check\n\nEach command has its own --help.",
    );
  /** @param work - gets the options */
  const add = (
    name: string,
    description: string,
    example: string,
    work: (options: never) => Promise<Answer>,
  ): Command => {
    const command = program.command(name).description(description);
    return command
      .option("--url <url>", "the database: postgres://… or a folder of PGlite's (default: DATABASE_URL)")
      .option("--table <name>", 'the table (default: "sessions")')
      .option("--schema <name>", "its schema (default: the search path decides)")
      .addOption(
        new Option("--layout <package>", 'whose table it is (default: "pgstore")').choices(Object.keys(LAYOUTS)),
      )
      .option("--json", "print one JSON document")
      .option("--debug", "print an error's stack")
      .allowExcessArguments(false)
      .addHelpText("after", `\nExample:\n  ${example}`)
      .action(() => run(command, () => work(command.opts<never>())));
  };

  add("migrate", "Creates the table, or what it lacks.", "npx pgstore migrate --print", migrate).option(
    "--print",
    "only show the SQL; no database is needed",
  );
  add(
    "check",
    "Says what is wrong with the table and the database, and what to do about it.",
    "npx pgstore check",
    check,
  ).option("--deep", "read the whole table as well, which takes its time");
  add("stats", "Shows how many sessions there are, and how large the table is.", "npx pgstore stats --json", stats);
  add("list", "Lists a user's live sessions, the newest first.", "npx pgstore list --user ada", list)
    .requiredOption("--user <id>", "whose")
    .addOption(new Option("--limit <number>", "how many at most").default(100).argParser(upTo(10_000)))
    .option("--after <cursor>", "go on where the page before ended");
  add(
    "revoke",
    "Ends sessions: of a user, a single one, or all.",
    "npx pgstore revoke --user ada --except Kw3v0mUeFqYx",
    revoke,
  )
    .option("--user <id>", "whose")
    .option("--id <id>", "this one: the whole id, or with --user its beginning as the list shows it")
    .option("--except <id>", "with --user: all but this one; an id or its beginning")
    .option("--all", "every live session in the table")
    .option("--yes", "don't ask");
  add("cleanup", "Removes what has expired, the oldest first.", "npx pgstore cleanup --limit 100000", cleanup)
    .addOption(new Option("--limit <number>", "how many rows at most").argParser(upTo(Number.MAX_SAFE_INTEGER)))
    .option(
      "--ended-grace <duration>",
      'how long ended sessions are remembered (default: "1d"; the application has its own)',
    )
    .option("--dry-run", "only count them")
    .option("--yes", "accepted, but never needed: no live session is touched");
  add(
    "import",
    "Takes over the live sessions of another package's table, which is only read.",
    "npx pgstore import --from connect-pg-simple --from-table session",
    importSessions,
  )
    .addOption(
      new Option("--from <package>", "who wrote that table").choices(Object.keys(SOURCES)).makeOptionMandatory(),
    )
    .option("--from-url <url>", "its database (default: the same)")
    .option("--from-table <name>", 'its name (default: "session" of connect-pg-simple, "sessions" of scs)')
    .option("--from-schema <name>", "its schema (default: the search path decides)")
    .option("--yes", "accepted, but never needed: nothing is overwritten");
  add(
    "demo",
    "Serves a small application whose sessions are in the database, or in the folder pgstore-data.",
    "npx pgstore demo --port 4000",
    demo,
  )
    .option("--port <number>", "where it listens (default: PORT, or 4000)")
    .option("--host <address>", "on which address (default: 127.0.0.1)");
  add(
    "dashboard",
    "Serves the dashboard on this machine only, to the browser that opens its link.",
    "npx pgstore dashboard",
    dashboardCommand,
  ).addOption(new Option("--port <number>", "where it listens (default: any that is free)").argParser(upTo(65_535)));
  return program;
}

/** Reads a whole number from 1. */
function upTo(most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= 1 && number <= most) return number;
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
  };
}
