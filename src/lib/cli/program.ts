import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import type { Answer } from "./answer.ts";
import { check } from "./check.ts";
import { cleanup } from "./cleanup.ts";
import { completion, type Shell, SHELLS } from "./completion.ts";
import { dashboardCommand } from "./dashboard.ts";
import { demo } from "./demo/serve.ts";
import { importSessions } from "./import/import.ts";
import { LAYOUTS } from "./connection.ts";
import { SOURCES } from "./import/source.ts";
import { list } from "./list.ts";
import { migrate } from "./migrate.ts";
import { revoke } from "./revoke.ts";
import { schema } from "./schema.ts";
import { show } from "./show.ts";
import { stats } from "./stats.ts";
import { ORDERS, users } from "./users.ts";

const PROGRAM_HELP = `
Exit codes:
  0  done, nothing is wrong
  1  a check found a problem, the work is incomplete, or the database refused it
  2  the command line is wrong, or a confirmation is missing
  3  the database can't be reached, or the driver is missing
  4  the table is missing, or lacks something that pgstore needs

Example:
  DATABASE_URL=postgres://me@db/app npx pgstore check

Each command has its own --help.`;

/** Runs the work of a command and prints its answer. */
type Run = (command: Command, work: () => Promise<Answer>) => Promise<void>;

/** Adds the commands to the program, each with its options, its help and an example. */
export function addCommands(program: Command, run: Run): void {
  program
    .description("Manages the sessions that pgstore keeps in PostgreSQL.")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "Shows the help of a command.")
    .addHelpText("after", PROGRAM_HELP);
  /** Adds a command. @param work - receives the options */
  const add = (
    name: string,
    description: string,
    example: string,
    work: (options: never) => Promise<Answer>,
  ): Command => {
    const command = program.command(name).description(description);
    return command
      .addHelpText("after", `\nExample:\n  ${example}`)
      .action(() => run(command, () => work(command.opts<never>())));
  };

  add("migrate", "Creates the table, or adds what it lacks.", "npx pgstore migrate --print", migrate).option(
    "--print",
    "only print the SQL, without a database",
  );
  add(
    "schema",
    "Prints the tables, columns and indexes that migrate creates, without a database.",
    "npx pgstore schema --drizzle --schema pgstore > pgstore-schema.ts",
    schema,
  )
    .option("--sql", "as SQL, the default")
    .option("--drizzle", "as a TypeScript file for Drizzle")
    .option("--prisma", "as models for schema.prisma");
  add("check", "Finds problems of the table and the database, each with a remedy.", "npx pgstore check", check).option(
    "--deep",
    "read the whole table as well, which takes long",
  );
  add("stats", "Shows the number of sessions and the size of the table.", "npx pgstore stats --json", stats);
  add("users", "Lists users, with their live sessions and last logins.", "npx pgstore users --sort sessions", users)
    .option("--prefix <text>", "only users whose id begins with this")
    .addOption(
      new Option("--sort <order>", "by id, by number of live sessions, or by last login")
        .choices(Object.keys(ORDERS))
        .default("name"),
    )
    .addOption(new Option("--limit <number>", "the most users to list").default(100).argParser(upTo(10_000)))
    .option("--after <cursor>", "continue after the page that printed this cursor");
  add("list", "Lists a user's live sessions, the newest first.", "npx pgstore list --user ada", list)
    .requiredOption("--user <id>", "the user")
    .addOption(new Option("--limit <number>", "the most sessions to list").default(100).argParser(upTo(10_000)))
    .option("--after <cursor>", "continue after the page that printed this cursor");
  add(
    "show",
    "Shows one live session: its user, its times, and the keys and sizes of its data.",
    "npx pgstore show --id Kw3v0mUeFqYx --user ada",
    show,
  )
    .requiredOption("--id <id>", "the session: its full id, or with --user the beginning that list shows")
    .option("--user <id>", "the user of the session");
  add(
    "revoke",
    "Revokes sessions: those of a user, a single one, or all.",
    "npx pgstore revoke --user ada --except Kw3v0mUeFqYx",
    revoke,
  )
    .option("--user <id>", "the user")
    .option("--id <id>", "a single session: its full id, or with --user the beginning that list shows")
    .option("--except <id>", "with --user: keep this session; an id or its beginning")
    .option("--all", "every live session in the table")
    .option("--yes", "do not ask for confirmation");
  add("cleanup", "Removes expired rows, the oldest first.", "npx pgstore cleanup --limit 100000", cleanup)
    .addOption(new Option("--limit <number>", "the most rows to remove").argParser(upTo(Number.MAX_SAFE_INTEGER)))
    .option("--ended-grace <duration>", 'how long the empty rows of ended sessions stay (default: "1d")')
    .option("--dry-run", "only count the rows")
    .option("--yes", "accepted but not needed, as no live session is touched");
  add(
    "import",
    "Copies the live sessions from another package's table.",
    "npx pgstore import --from connect-pg-simple --from-table session",
    importSessions,
  )
    .addOption(
      new Option("--from <package>", "the package that wrote the table")
        .choices(Object.keys(SOURCES))
        .makeOptionMandatory(),
    )
    .option("--from-url <url>", "its database (default: the same)")
    .option("--from-table <name>", 'its name (default: "session" of connect-pg-simple, "sessions" of scs)')
    .option("--from-schema <name>", "its schema (default: the search path decides)")
    .option("--yes", "accepted but not needed, as nothing is overwritten");
  add(
    "demo",
    "Serves a small application that keeps its sessions in the database, or in the folder pgstore-data.",
    "npx pgstore demo --port 4000",
    demo,
  )
    .option("--port <number>", "the port to listen on (default: PORT, or 4000)")
    .option("--host <address>", "the address to listen on (default: 127.0.0.1)");
  add(
    "dashboard",
    "Serves the dashboard on this machine only, to the browser that opens its link.",
    "npx pgstore dashboard",
    dashboardCommand,
  ).addOption(new Option("--port <number>", "the port to listen on (default: any free port)").argParser(upTo(65_535)));
  const completing: Command = add(
    "completion",
    "Prints a script that makes your shell complete commands and options.",
    "npx pgstore completion bash >> ~/.bashrc",
    () => completion(program, completing.args[0] as Shell),
  ).addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SHELLS)));
  for (const command of program.commands) {
    for (const option of commonOptions()) command.addOption(option.helpGroup("Options of every command:"));
  }
}

function commonOptions(): Option[] {
  return [
    new Option("--url <url>", "the database: postgres://… or a PGlite folder (default: DATABASE_URL)"),
    new Option("--table <name>", 'the table (default: "sessions")'),
    new Option("--schema <name>", "its schema (default: the search path decides)"),
    new Option("--layout <package>", 'the package that created the table (default: "pgstore")').choices(
      Object.keys(LAYOUTS),
    ),
    new Option("--json", "print one JSON document"),
    new Option("--debug", "print an error's stack"),
  ];
}

/** Makes a parser of whole numbers from 1. */
function upTo(max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= 1 && number <= max) return number;
    throw new InvalidArgumentError(`Expected a whole number from 1 to ${max}.`);
  };
}
