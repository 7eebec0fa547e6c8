/** `npm run bench`: reads the command line and runs the measurement that it names. */
import { type Command, parseCommand, USAGE, UsageError } from "./options.ts";

/** Only what is measured is loaded. */
async function run(command: Command): Promise<void> {
  switch (command.name) {
    case "help":
      return console.log(USAGE);
    case "scenarios":
      return (await import("./scenarios/main.ts")).run(command);
    case "races":
      return (await import("./races/main.ts")).run();
    case "channels":
      return (await import("./channels/main.ts")).run();
    case "millions":
      return (await import("./millions/main.ts")).run(command.count);
    case "timing":
      return (await import("./timing/main.ts")).run(command.count);
  }
}

try {
  await run(parseCommand(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
