import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { freePort } from "./free-port.ts";
import { temporaryFolder, unprivilegedUser } from "./postgres-binaries.ts";
import { environment, startUndertaker } from "./undertaker.ts";

/** A PgBouncer that gives each transaction one of two connections, in front of a server. */
export interface PgBouncer {
  /** The URL with the pooler in the server's place: any database of the server, as the same user. */
  through(url: string): string;
  stop(): Promise<void>;
}

const START_MS = 10_000;

/** The version of the installed pgbouncer. Undefined without one. */
export function pgbouncerVersion(): string | undefined {
  try {
    return /PgBouncer (\S+)/.exec(execFileSync("pgbouncer", ["--version"], { encoding: "utf8", env: withSbin() }))?.[1];
  } catch {
    console.warn(
      "There is no pgbouncer here, so the tests through it are skipped; on Debian: apt-get install pgbouncer",
    );
    return undefined;
  }
}

/**
 * Starts PgBouncer in transaction mode, without support for prepared statements, on loopback. An undertaker ends it
 * with this process.
 *
 * @param more - settings that override the defaults
 * @throws Error with its log when it doesn't start
 */
export async function startPgBouncer(serverUrl: string, more: Record<string, string> = {}): Promise<PgBouncer> {
  const user = unprivilegedUser();
  const folder = realpathSync(mkdtempSync(join(temporaryFolder(user), "pgstore-bouncer-")));
  const undertaker = startUndertaker(folder);
  const log = join(folder, "log");
  let child: ChildProcess | undefined;
  const stop = async (): Promise<void> => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.ref();
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    undertaker.dismiss();
  };
  try {
    for (let tries = 1; ; tries++) {
      const port = await freePort();
      writeFileSync(join(folder, "users"), userLine(serverUrl));
      writeFileSync(join(folder, "ini"), settings(serverUrl, port, join(folder, "users"), more));
      if (user !== undefined) {
        for (const path of [folder, join(folder, "users"), join(folder, "ini")]) chownSync(path, user.uid, user.gid);
      }
      const output = openSync(log, "w");
      const started = spawn("pgbouncer", [join(folder, "ini")], {
        ...user,
        cwd: folder,
        env: withSbin(),
        stdio: ["ignore", output, output],
        detached: true,
      });
      closeSync(output);
      await once(started, "spawn");
      child = started;
      started.unref();
      undertaker.watch(started.pid);
      const through = (url: string): string => {
        const pooled = new URL(url);
        pooled.host = `127.0.0.1:${port}`;
        return pooled.href;
      };
      const deadline = Date.now() + START_MS;
      while (started.exitCode === null && started.signalCode === null) {
        if (await answers(through(serverUrl))) return { through, stop };
        if (Date.now() > deadline) break;
        await sleep(20);
      }
      // Another process may have taken the port since we found it free.
      if (tries < 5 && /cannot listen|bind/.test(readFileSync(log, "utf8"))) continue;
      throw new Error(`PgBouncer did not start:\n${readFileSync(log, "utf8").slice(-4000)}`);
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Looks in the folder where Debian installs it, outside of users' PATH. */
function withSbin(): NodeJS.ProcessEnv {
  return { ...environment(), PATH: `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin` };
}

function userLine(url: string): string {
  const { username, password } = new URL(url);
  const quoted = [username, password].map((text) => `"${decodeURIComponent(text).replaceAll('"', '""')}"`);
  return `${quoted.join(" ")}\n`;
}

function settings(url: string, port: number, users: string, more: Record<string, string>): string {
  const { hostname, port: serverPort } = new URL(url);
  const [major = 1, minor = 0] = (pgbouncerVersion() ?? "").split(".").map(Number);
  const lines = [
    "[databases]",
    `* = host=${hostname} port=${serverPort || 5432}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = trust",
    `auth_file = ${users}`,
    "pool_mode = transaction",
    "default_pool_size = 2",
    "max_client_conn = 500",
    // By default it waits 15 s after a connection that fails to log in, and tests kill connections.
    "server_login_retry = 1",
    // As Debian's 1.18, which knows no such setting.
    ...(major > 1 || minor >= 21 ? ["max_prepared_statements = 0"] : []),
    // The last line of a name counts.
    ...Object.entries(more).map(([name, value]) => `${name} = ${value}`),
  ];
  return `${lines.join("\n")}\n`;
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000, query_timeout: 2000 });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
