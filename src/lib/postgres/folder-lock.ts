import {
  chmod,
  constants,
  copyFile,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { pause, systemNow } from "../core/time.ts";
import { StoreUnavailableError } from "../core/errors.ts";
import { createToken } from "../core/token.ts";

/** Milliseconds between two signs of life of a holder. */
const SIGN_OF_LIFE = 1000;
/** Milliseconds without one after which a holder of whom nothing else is known counts as gone. */
const SILENCE = 6000;
/** Milliseconds between two looks at it. */
const LOOK = 50;

/** What a lock file says of its holder. */
interface Holder {
  /** Of this lock, whoever holds it. */
  id: string;
  pid: number;
  /** When the process began, as the system has it: a process number is used again. Undefined where nothing tells. */
  started?: string | undefined;
  /** Where the process number counts: the machine since it was booted, and the container. */
  space: string;
}

/**
 * Keeps a second process out of a folder of PGlite's, which would not notice it: both would go on, each on its own copy, and
 * the last to close would win. Makes the folder, for its owner only, if it is missing. (docs/decisions/024)
 *
 * The lock is the file `pgstore.lock` in the folder. Whoever comes reads it. A holder with the number and the start of a process
 * that is there holds the folder; one in the same space whose process is gone does not. Where nothing tells, as in another
 * container, the holder's signs of life do: the file's time, which it sets each second.
 *
 * @param silence - milliseconds
 * @returns gives the folder free
 * @throws StoreUnavailableError when a process has it, or the folder can't be made
 */
export async function lockFolder(folder: string, silence = SILENCE): Promise<() => Promise<void>> {
  try {
    await makeFolder(folder);
    const release = await acquire(join(await realpath(folder), "pgstore.lock"), silence);
    if (typeof release === "function") return release;
    const { pid } = release;
    throw new StoreUnavailableError(
      `the folder ${folder} is in use by process ${pid}; if it is not, remove ${join(folder, "pgstore.lock")}`,
    );
  } catch (cause) {
    if (cause instanceof StoreUnavailableError) throw cause;
    throw new StoreUnavailableError(`PGlite can't open the folder ${folder}`, { cause });
  }
}

/** For its owner only: also one that an earlier version has made, but none that holds other things. */
async function makeFolder(folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) return;
  const names = await readdir(folder);
  if (names.length === 0 || names.includes("PG_VERSION")) await chmod(folder, 0o700);
}

/** @returns what gives the lock free, or who holds it */
async function acquire(path: string, silence: number): Promise<(() => Promise<void>) | Holder> {
  const [started, space] = await Promise.all([startOf(process.pid), spaceOf()]);
  const mine: Holder = { id: createToken(), pid: process.pid, started, space };
  for (;;) {
    const draft = `${path}.${mine.id}`;
    try {
      await writeFile(draft, JSON.stringify(mine), { flag: "wx", mode: 0o600 });
      await publish(draft, path);
      return await hold(path, mine);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    } finally {
      await rm(draft, { force: true });
    }
    const found = await holderOf(path);
    if (found === undefined) continue;
    if (await isAlive(path, found, silence)) return found;
    await removeOf(path, found, silence);
  }
}

/** Gives a file that is written a second name, if that is free: nobody ever reads half of it. */
async function publish(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path);
  } catch (error) {
    // File systems without hard links.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(String((error as { code?: unknown }).code))) throw error;
    await copyFile(draft, path, constants.COPYFILE_EXCL);
  }
}

/**
 * Removes the lock of a holder who is gone. Two who have both found it so must not both do that, as the second would remove the lock
 * that the first has taken since: a lock for the removal of this one lock decides.
 */
async function removeOf(path: string, gone: Holder, silence: number): Promise<void> {
  const release = await acquire(`${path}.${gone.id.replaceAll(/[^\w-]/g, "")}.gone`, silence);
  if (typeof release !== "function") return pause(LOOK);
  try {
    if ((await holderOf(path))?.id === gone.id) await unlink(path);
  } finally {
    await release();
  }
}

async function hold(path: string, mine: Holder): Promise<() => Promise<void>> {
  const file = await open(path, "r+");
  const timer = setInterval(() => {
    const now = systemNow() / 1000;
    file.utimes(now, now).catch(() => {});
  }, SIGN_OF_LIFE);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await file.close();
    if ((await holderOf(path))?.id === mine.id) await rm(path, { force: true });
  };
}

/** Reads who holds a lock; undefined when it is gone. One that can't be read is known by its file alone. */
async function holderOf(path: string): Promise<Holder | undefined> {
  try {
    const [text, { ino }] = [await readFile(path, "utf8"), await stat(path)];
    const unknown = { id: `file-${ino}`, pid: 0, space: "" };
    try {
      return { ...unknown, ...(JSON.parse(text) as Partial<Holder> | null) };
    } catch {
      return unknown;
    }
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
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
    // Gone, or another's: whoever asks looks again.
    if (now === undefined) return false;
    if (now !== before) return true;
  }
  return false;
}

async function timeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}

function isProcess(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is one all the same.
    return (error as { code?: string }).code === "EPERM";
  }
}

/** When a process began, in ticks since the boot: Linux tells. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    // The name, in parentheses, may hold anything.
    const text = await readFile(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

async function spaceOf(): Promise<string> {
  try {
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    return `${boot.slice(0, 36)} ${await readlink("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}
