import fs from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { pause, systemNow } from "../core/time.ts";
import { StoreUnavailableError } from "../core/errors.ts";
import { createToken } from "../core/token.ts";

/** Milliseconds between two signs of life of a holder. */
const SIGN_OF_LIFE = 1000;
/** Milliseconds without a sign of life after which a holder counts as gone, if nothing else is known. */
const SILENCE = 6000;
/** Milliseconds between two looks at the lock file. */
const LOOK = 50;

/** The content of a lock file. */
interface Holder {
  /** Identifies this lock. */
  id: string;
  pid: number;
  /** Start of the process, since process numbers are reused. Undefined if the system doesn't tell. */
  started?: string | undefined;
  /** Where the process number is valid: this boot of the machine, and the container. */
  space: string;
}

/**
 * Locks a PGlite folder against other processes. A missing folder is created with access for its owner alone.
 *
 * PGlite itself would let two processes work on separate copies, and the last to close would win (docs/decisions/024).
 * The lock is the file `pgstore.lock` in the folder. A holder in the same space is alive if its process number and start
 * match a running process. A holder elsewhere, as in another container, is alive if it touches the file every second.
 *
 * @param silence - milliseconds without a touch after which a holder elsewhere counts as gone
 * @returns a function that releases the lock
 * @throws StoreUnavailableError when another process holds the lock, or the folder can't be created
 */
export async function lockFolder(folder: string, silence = SILENCE): Promise<() => Promise<void>> {
  try {
    await makeFolder(folder);
    const release = await acquire(join(await fs.realpath(folder), "pgstore.lock"), silence);
    if (typeof release === "function") return release;
    const { pid } = release;
    throw new StoreUnavailableError(
      `the folder ${folder} is in use by process ${pid}. If that process is gone, remove ${join(folder, "pgstore.lock")}`,
    );
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw cause;
    throw new StoreUnavailableError(`PGlite can't open the folder ${folder}`, { cause });
  }
}

/** The files of a PGlite folder and its lock. */
const OWN_FILE =
  /^(?:PG_VERSION|base|global|pg_[a-z_]+(?:\.conf)?|postgresql(?:\.auto)?\.conf|postmaster\..+|pgstore\.lock.*)$/;

/** Creates the folder for its owner only. An existing one is restricted too, unless it holds foreign files. */
async function makeFolder(folder: string): Promise<void> {
  if ((await fs.mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) return;
  const names = await fs.readdir(folder);
  if (names.every((name) => OWN_FILE.test(name))) await fs.chmod(folder, 0o700);
}

/** Takes a lock. @returns a function that releases it, or the present holder */
async function acquire(path: string, silence: number): Promise<(() => Promise<void>) | Holder> {
  const [started, space] = await Promise.all([startOf(process.pid), spaceOf()]);
  const mine: Holder = { id: createToken(), pid: process.pid, started, space };
  for (;;) {
    const draft = `${path}.${mine.id}`;
    try {
      await fs.writeFile(draft, JSON.stringify(mine), { flag: "wx", mode: 0o600 });
      await publish(draft, path);
      return await hold(path, mine);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      await fs.rm(draft, { force: true });
    }
    const found = await holderOf(path);
    if (found === undefined) continue;
    if (await isAlive(path, found, silence)) return found;
    await removeOf(path, found, silence);
  }
}

/** Gives a complete file its final name if that is free, so that no process reads half a file. */
async function publish(draft: string, path: string): Promise<void> {
  try {
    await fs.link(draft, path);
  } catch (error) {
    // These file systems have no hard links.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(String((error as NodeJS.ErrnoException).code)))
      throw error;
    await fs.copyFile(draft, path, fs.constants.COPYFILE_EXCL);
  }
}

/**
 * Removes the lock of a holder that is gone. The removal has a lock of its own: otherwise a second process could remove the
 * lock that the first has taken since.
 */
async function removeOf(path: string, gone: Holder, silence: number): Promise<void> {
  const release = await acquire(`${path}.${gone.id.replaceAll(/[^\w-]/g, "")}.gone`, silence);
  if (typeof release !== "function") return pause(LOOK);
  try {
    if ((await holderOf(path))?.id === gone.id) await fs.unlink(path);
  } finally {
    await release();
  }
}

async function hold(path: string, mine: Holder): Promise<() => Promise<void>> {
  const file = await fs.open(path, "r+");
  const timer = setInterval(() => {
    const now = systemNow() / 1000;
    file.utimes(now, now).catch(() => {});
  }, SIGN_OF_LIFE);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await file.close();
    if ((await holderOf(path))?.id === mine.id) await fs.rm(path, { force: true });
  };
}

/** Reads the holder of a lock, or undefined when the lock is gone. An unreadable lock is identified by its file alone. */
async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    const [text, { ino }] = [await fs.readFile(path, "utf8"), await fs.stat(path)];
    const unknown = { id: `file-${ino}`, pid: 0, space: "" };
    try {
      return { ...unknown, ...(JSON.parse(text) as Partial<Holder> | null) };
    } catch {
      return unknown;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function isAlive(path: string, holder: Holder, silence: number): Promise<boolean> {
  if (holder.space === (await spaceOf())) {
    if (!isProcess(holder.pid)) return false;
    const started = await startOf(holder.pid);
    if (started !== undefined && holder.started !== undefined) return started === holder.started;
  }
  const before = await timeOf(path);
  for (let waited = 0; waited < silence; waited += LOOK) {
    await pause(LOOK);
    const now = await timeOf(path);
    // The file is gone: the caller looks again.
    if (now === undefined) return false;
    if (now !== before) return true;
  }
  return false;
}

async function timeOf(path: string): Promise<number | undefined> {
  return (await fs.stat(path).catch(() => undefined))?.mtimeMs;
}

function isProcess(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Reads the start of a process in ticks since the boot. Undefined except on Linux. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    // The fields after the process name, which is in parentheses and may contain spaces.
    const text = await fs.readFile(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

async function spaceOf(): Promise<string> {
  try {
    const boot = await fs.readFile("/proc/sys/kernel/random/boot_id", "utf8");
    return `${boot.slice(0, 36)} ${await fs.readlink("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}
