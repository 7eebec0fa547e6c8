import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.ts";

const MAX_FILES_OF_A_GET = 20;
/** Promises of a GET without those of its statement, which parallel requests share. */
const MAX_OWN_PROMISES = 3;
const MAX_PROMISES_OF_A_STATEMENT = 7;
/** Files in which nothing runs during a request: their statements are made before, and Node's adapters don't use the other. */
const ONLY_NAMED = ["adapters/fetch.ts", "postgres/sql/operations.ts", "postgres/sql/logins.ts"];

let database: TestDatabase;
let entered: { get: string[]; login: string[]; promises: { alone: number; shared: number } };
let guide: string;
beforeAll(async () => {
  database = await createDatabase();
  const program = fileURLToPath(new URL("entered-files.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", program], {
    env: { ...process.env, APP_DATABASE_URL: database.url },
  });
  entered = JSON.parse(stdout) as typeof entered;
  guide = await readFile(new URL("../../CONTRIBUTING.md", import.meta.url), "utf8");
});
afterAll(() => database.drop());

/** Returns the source files that a section of CONTRIBUTING.md names. */
function namedUnder(heading: string): string[] {
  const section = guide.split(/^## /m).find((text) => text.startsWith(heading)) ?? "";
  const names = Array.from(section.matchAll(/`([a-z-]+\/[a-z0-9/-]+\.ts)`/g), ([, name]) => String(name));
  return [...new Set(names)].filter((name) => !ONLY_NAMED.includes(name)).toSorted();
}

describe("a GET with a live session", () => {
  it(`enters at most ${MAX_FILES_OF_A_GET} files`, () => {
    expect(entered.get.length).toBeLessThanOrEqual(MAX_FILES_OF_A_GET);
  });

  it("enters the files that the guide for contributors names, and no other", () => {
    expect(entered.get).toEqual(namedUnder("The way of a GET"));
  });

  it("makes three promises, and shares those of its statement with others", () => {
    const { alone, shared } = entered.promises;
    expect(alone).toBeLessThanOrEqual(MAX_OWN_PROMISES + MAX_PROMISES_OF_A_STATEMENT);
    // Each request has only a share of a statement.
    expect(shared).toBeLessThan(MAX_OWN_PROMISES + 1);
    // Fewer would mean that they are not counted.
    expect(shared).toBeGreaterThan(1);
  });
});

describe("a login", () => {
  it("enters every file that the guide for contributors names", () => {
    const named = namedUnder("The way of a login");
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((file) => !entered.login.includes(file))).toEqual([]);
  });
});
