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

const TRIES = 5;

/**
 * Starts an example, by the command that examples/README.md names.
 *
 * @param atEnd - is given what kills it, for the end of the test
 * @throws Error with what it said, if it ends instead of listening
 */
export async function startExample(
  folder: string,
  file: string,
  databaseUrl: string,
  atEnd: (kill: () => void) => void,
  variables: Record<string, string> = {},
): Promise<RunningExample> {
  for (let tries = 1; ; tries++) {
    try {
      return await start(folder, file, databaseUrl, await freePort(), atEnd, variables);
    } catch (error) {
      // Another process may have taken the port since we found it free.
      if (tries === TRIES || !String(error).includes("EADDRINUSE")) throw error;
    }
  }
}

async function start(
  folder: string,
  file: string,
  databaseUrl: string,
  port: number,
  atEnd: (kill: () => void) => void,
  variables: Record<string, string>,
): Promise<RunningExample> {
  const child = spawn(process.execPath, ["--import", "tsx", file], {
    cwd: folder,
    env: { ...environment(), ...variables, DATABASE_URL: databaseUrl, PORT: String(port) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  atEnd(() => void child.kill("SIGKILL"));
  let [output, errors] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const closed = once(child, "close") as Promise<[number | null]>;
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes(`http://localhost:${port}\n`)) resolve();
    });
    closed.then(([code]) => reject(new Error(`${file} ended with code ${code}:\n${output}${errors}`)), reject);
  });
  return {
    url: `http://127.0.0.1:${port}`,
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
