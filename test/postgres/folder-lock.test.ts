import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { StoreUnavailableError } from "../../src/index.ts";
import { pause } from "../../src/lib/core/time.ts";
import { lockFolder } from "../../src/lib/postgres/folder-lock.ts";
import { bundleOf } from "../support/bundle.ts";

/** Milliseconds: the tests don't wait for those who are gone any longer than it takes to see a sign of life. */
const SILENCE = 200;

let parent: string;
let bundle: string;
let count = 0;
beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), "pgstore-lock-"));
  bundle = await bundleOf(new URL("../../src/lib/postgres/folder-lock.ts", import.meta.url));
});
afterAll(() => rmSync(parent, { recursive: true, force: true }));

const newFolder = (): string => join(parent, `folder ${count++}`);
const lockOf = (folder: string): string => join(folder, "pgstore.lock");

/** A process that takes the folder, when it is told to begin; resolves to what came of it. */
function contender(folder: string): { child: ChildProcess; ready: Promise<unknown>; outcome: Promise<string> } {
  const program = `
    const { lockFolder } = await import(${JSON.stringify(bundle)});
    console.log("ready");
    process.stdin.once("data", () => lockFolder(process.argv[1], ${SILENCE}).then(
      () => console.log("taken"), (error) => console.log(error.name)));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const next = async (): Promise<string> => String(((await once(child.stdout, "data")) as [Buffer])[0]).trim();
  const ready = next();
  return { child, ready, outcome: ready.then(next) };
}

/** Leaves the lock of a process that was killed. */
async function abandoned(folder: string): Promise<void> {
  const { child, ready, outcome } = contender(folder);
  await ready;
  child.stdin?.write("go");
  expect(await outcome).toBe("taken");
  child.kill("SIGKILL");
  await once(child, "exit");
}

describe("lockFolder", () => {
  it("makes the folder for its owner only, and makes it so where it is already", async () => {
    const fresh = join(newFolder(), "deep", "data");
    const existing = [newFolder(), newFolder(), newFolder(), newFolder()] as const;
    const [empty, old, other, both] = existing;
    for (const folder of existing) mkdirSync(folder);
    for (const folder of [old, both]) writeFileSync(join(folder, "PG_VERSION"), "17");
    // Others may have to read what lies there, as in the folder for temporary files.
    for (const folder of [other, both]) writeFileSync(join(folder, "letter"), "");
    for (const folder of existing) chmodSync(folder, 0o755);
    for (const [folder, mode] of [
      [fresh, 0o700],
      [empty, 0o700],
      [old, 0o700],
      [other, 0o755],
      [both, 0o755],
    ] as const) {
      const release = await lockFolder(folder);
      expect(statSync(folder).mode & 0o777, folder).toBe(mode);
      await release();
    }
  });

  it("is had by one at a time, by whichever name, and can be taken again after", async () => {
    const folder = newFolder();
    const release = await lockFolder(folder);
    for (const name of [folder, `${folder}/../${folder.split("/").at(-1)}/`]) {
      const error: unknown = await lockFolder(name).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StoreUnavailableError);
      expect(String(error)).toContain(`is in use by process ${process.pid}. If that process is gone, remove`);
    }
    await release();
    await (
      await lockFolder(folder)
    )();
  });

  it("goes to one of those who come at the same moment, also after one was killed", async () => {
    const folder = newFolder();
    for (let round = 0; round < 3; round++) {
      const all = Array.from({ length: 4 }, () => contender(folder));
      await Promise.all(all.map(({ ready }) => ready));
      for (const { child } of all) child.stdin?.write("go");
      const outcomes = await Promise.all(all.map(({ outcome }) => outcome));
      expect(outcomes.toSorted()).toEqual([...Array.from({ length: 3 }, () => "StoreUnavailableError"), "taken"]);
      for (const { child } of all) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    }
  }, 60_000);

  it.runIf(process.platform === "linux")("is not kept by a process whose number another one has now", async () => {
    const folder = newFolder();
    await abandoned(folder);
    const left = JSON.parse(readFileSync(lockOf(folder), "utf8")) as object;
    for (const pid of [process.pid, process.ppid]) {
      writeFileSync(lockOf(folder), JSON.stringify({ ...left, pid }));
      await (
        await lockFolder(folder, Number.POSITIVE_INFINITY)
      )();
    }
  });

  /** A folder, and what a lock of this process's says in it. */
  async function described(): Promise<{ folder: string; mine: object; lock: string }> {
    const folder = newFolder();
    const release = await lockFolder(folder);
    const lock = lockOf(folder);
    const mine = JSON.parse(readFileSync(lock, "utf8")) as object;
    await release();
    return { folder, mine, lock };
  }

  it("is taken over at once from what is no process, and leaves nothing behind", async () => {
    const { folder, mine, lock } = await described();
    // The largest number that Linux gives is 2^22.
    for (const pid of [0, -1, 1.5, "1", 2 ** 22 + 1]) {
      writeFileSync(lock, JSON.stringify({ ...mine, id: "gone", pid }));
      const release = await lockFolder(folder, Number.POSITIVE_INFINITY);
      expect(readdirSync(folder), String(pid)).toEqual(["pgstore.lock"]);
      expect(readFileSync(lock, "utf8")).not.toContain('"gone"');
      await release();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it("is removed by one at a time of those who find its holder gone", async () => {
    const { folder, mine, lock } = await described();
    writeFileSync(lock, JSON.stringify({ ...mine, id: "gone", pid: 0 }));
    // Another one, which is alive, is about to do so.
    writeFileSync(`${lock}.gone.gone`, JSON.stringify({ ...mine, id: "other" }));
    let isTaken = false;
    const taking = lockFolder(folder).then((release) => {
      isTaken = true;
      return release;
    });
    await pause(300);
    expect(isTaken).toBe(false);
    expect(readFileSync(lock, "utf8")).toContain('"gone"');
    // It has done it, and another one has the folder.
    writeFileSync(lock, JSON.stringify({ ...mine, id: "other" }));
    rmSync(`${lock}.gone.gone`);
    await expect(taking).rejects.toThrow(/is in use by process/);
    expect(readFileSync(lock, "utf8")).toContain('"other"');
  });

  it("says so where there can be no folder, or no lock", async () => {
    const [file, folder] = [newFolder(), newFolder()];
    writeFileSync(file, "");
    mkdirSync(lockOf(folder), { recursive: true });
    for (const wrong of [file, join(file, "deeper"), folder]) {
      const error = await lockFolder(wrong).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StoreUnavailableError);
      expect(error).toMatchObject({
        message: `PGlite can't open the folder ${wrong}`,
        cause: expect.anything() as unknown,
      });
    }
  });

  it.each([
    ["an empty file", ""],
    ["null", "null"],
    ["half of one", '{"id":"x","pid":'],
    ["the one of another container", '{"id":"x","pid":1,"started":"1","space":"another"}'],
  ])("stays with whoever gives signs of life, and no longer: %s", async (_what, text) => {
    const folder = newFolder();
    mkdirSync(folder);
    writeFileSync(lockOf(folder), text);
    const timer = setInterval(() => utimesSync(lockOf(folder), new Date(), new Date()), 20);
    await expect(lockFolder(folder, 60_000)).rejects.toThrow(/is in use by process/);
    clearInterval(timer);
    await (
      await lockFolder(folder, SILENCE)
    )();
  });

  it("gives signs of life, and leaves a lock that was taken from it alone", async () => {
    const folder = newFolder();
    const release = await lockFolder(folder);
    const before = statSync(lockOf(folder)).mtimeMs;
    await expect.poll(() => statSync(lockOf(folder)).mtimeMs).not.toBe(before);
    writeFileSync(lockOf(folder), '{"id":"another"}');
    await release();
    expect(readFileSync(lockOf(folder), "utf8")).toContain("another");
  });
});
