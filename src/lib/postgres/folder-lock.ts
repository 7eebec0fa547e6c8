import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { StoreUnavailableError } from "../base/errors.ts";

/**
 * Keeps a second process out of a folder of PGlite's, which would not notice it: both would go on, each on its own copy,
 * and the last to close would win. The lock is a file beside the folder that holds the process's id; that of a process
 * which is no more counts for nothing.
 *
 * @returns gives the folder free
 * @throws StoreUnavailableError when a process has it
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = `${resolve(folder)}.lock`;
  await mkdir(dirname(path), { recursive: true });
  // Twice: once more after removing the lock of a process that died.
  for (const last of [false, true]) {
    try {
      const file = await open(path, "wx");
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (cause) {
      const holder = Number(await readFile(path, "utf8").catch(() => ""));
      if (last || isAlive(holder)) {
        const message = `the folder ${folder} is in use by process ${holder}; if it is not, remove ${path}`;
        throw new StoreUnavailableError(message, { cause });
      }
      await rm(path, { force: true });
    }
  }
  throw new Error("unreachable");
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is one all the same.
    return (error as { code?: string }).code === "EPERM";
  }
}
