import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { setImmediate } from "node:timers/promises";
import { freePort } from "../support/free-port.ts";
import { environment } from "../support/undertaker.ts";

/** An example that listens. */
export interface RunningExample {
  readonly url: string;
  /** Tells it to stop as a service manager would, and resolves when it takes no more connections. */
  stop(): Promise<void>;
  /** Resolves to how it ended. */
  ended(): Promise<{ code: number | null; errors: string }>;
}

/** How a program is started. */
export interface Program {
  folder: string;
  command: string;
  args: string[];
  env?: (url: string) => Record<string, string>;
}

const TRIES = 5;

/** A file, by the command that examples/README.md names. */
export function onNode(folder: string, file: string): Program {
  return { folder, command: process.execPath, args: ["--import", "tsx", file] };
}

/**
 * Starts an example.
 *
 * @param atEnd - is given what kills it, for the end of the test
 * @throws Error with what it said, if it ends instead of listening
 */
export async function startExample(
  program: Program,
  databaseUrl: string,
  atEnd: (kill: () => void) => void,
): Promise<RunningExample> {
  for (let tries = 1; ; tries++) {
    try {
      return await start(program, databaseUrl, await freePort(), atEnd);
    } catch (error) {
      // Another process may have taken the port since we found it free.
      if (tries === TRIES || !String(error).includes("EADDRINUSE")) throw error;
    }
  }
}

async function start(
  { folder, command, args, env }: Program,
  databaseUrl: string,
  port: number,
  atEnd: (kill: () => void) => void,
): Promise<RunningExample> {
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...environment(), DATABASE_URL: databaseUrl, PORT: String(port), ...env?.(url) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  atEnd(() => void child.kill("SIGKILL"));
  let [output, errors] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const closed = once(child, "close") as Promise<[number | null]>;
  const isListening = new RegExp(`http://[\\w.]+:${port}\\s`);
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (isListening.test(output)) resolve();
    });
    closed.then(
      ([code]) => reject(new Error(`${args.join(" ")} ended with code ${code}:\n${output}${errors}`)),
      reject,
    );
  });
  return {
    url,
    stop: async () => {
      child.kill("SIGTERM");
      while (await accepts(port)) await setImmediate();
    },
    ended: async () => {
      const [code] = await closed;
      return { code, errors };
    },
  };
}

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
