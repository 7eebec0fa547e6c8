import { stripVTControlCharacters } from "node:util";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { main } from "../../src/lib/cli/main.ts";
import { Progress } from "../../src/lib/cli/progress.ts";
import { hanging, PLAIN, type Style, styleOf, wrapped } from "../../src/lib/cli/style.ts";
import { relative } from "../../src/lib/cli/terminal.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { pgstore } from "./run.ts";

const terminal = (columns: number, hasColors = true): Style =>
  styleOf({ isTTY: true, columns, hasColors: () => hasColors });

/** Runs a command as on a terminal. */
async function shown(style: Style, ...args: string[]): Promise<string> {
  let text = "";
  const write = (more: string): unknown => (text += more);
  await main(args, { out: write, err: write, outStyle: style, errStyle: style });
  return text;
}

describe("styleOf", () => {
  it("colours a terminal that has colours, and nothing else", () => {
    expect(terminal(80).red("x")).toBe("\u001B[31mx\u001B[39m");
    for (const style of [PLAIN, terminal(80, false), styleOf({ columns: 80, hasColors: () => true })]) {
      expect(style.red("x") + style.bold("y") + style.dim("z")).toBe("xyz");
    }
  });

  it("knows the width of a terminal, and none of a pipe", () => {
    expect([60, 20, 300, 0, undefined].map((columns) => styleOf({ isTTY: true, columns }).width)).toEqual([
      60, 40, 120, 80, 80,
    ]);
    expect(PLAIN.width).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("hanging", () => {
  it("keeps the indent of further lines, and leaves long words whole", () => {
    expect(wrapped("a bb ccc dddddddd e", 5)).toEqual(["a bb", "ccc", "dddddddd", "e"]);
    const text = hanging("  -> ", "one two three four five six seven eight nine", terminal(40, false));
    expect(text).toBe("  -> one two three four five six seven\n     eight nine");
    expect(hanging("-> ", "one two", PLAIN)).toBe("-> one two");
  });
});

describe("relative", () => {
  it("writes distances in both directions", () => {
    expect([-90_000, 0, 7_200_000].map((distance) => relative(new Date(1e12 + distance), 1e12))).toEqual([
      "2 min ago",
      "0 ms ago",
      "in 2 h",
    ]);
  });
});

describe("Progress", () => {
  it("tells the time left once it can, and fits its bar into the terminal", () => {
    const clock = { now: 0 };
    const stream = { isTTY: true, columns: 60, text: "", write: (text: string) => (stream.text = text) };
    const progress = new Progress("cleanup", 100_000, stream, () => clock.now);
    clock.now = 500;
    progress.update(5000);
    expect(stream.text).not.toContain("left");
    clock.now = 2000;
    progress.update(20_000);
    expect(stream.text).toContain("20% 20,000 of 100,000 10,000/s, 8 s left");
    expect(stripVTControlCharacters(stream.text).trim().length).toBeLessThanOrEqual(60);
  });

  it("shows nothing for work that is soon done", () => {
    const stream = { isTTY: true, text: "", write: (text: string) => (stream.text += text) };
    const progress = new Progress("work", 10, stream, () => 0);
    progress.update(10);
    progress.finish();
    expect(stream.text).toBe("");
  });
});

describe("on a terminal", () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let where: string[];
  beforeAll(async () => {
    database = await createDatabase();
    pool = database.pool();
    where = ["--url", database.url];
    await pool.query("SELECT 1");
  });
  afterAll(() => database.drop());

  it("has colours and wraps remedies under themselves, and neither in JSON nor in a pipe", async () => {
    const none = ["--table", "none", ...where];
    const text = await shown(terminal(60), "check", ...none);
    expect(text).toContain("\u001B[31merror\u001B[39m");
    const lines = stripVTControlCharacters(text).split("\n");
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(60);
    const at = lines.findIndex((line) => line.includes("-> "));
    expect(lines[at]).toMatch(/^ {20}-> run npx pgstore migrate/);
    expect(lines[at + 1]).toMatch(/^ {23}\S/);
    const plain = await shown(terminal(60, false), "check", ...none);
    expect(plain).toBe(stripVTControlCharacters(plain));
    for (const args of [
      ["check", "--json", ...none],
      ["stats", "--json", ...none],
    ]) {
      const json = (await shown(terminal(60), ...args)).replace(/\u001B\[31mpgstore[^]*/, "");
      expect(() => JSON.parse(json) as unknown).not.toThrow();
    }
    const piped = await pgstore("check", ...none);
    expect(piped.out).toBe(stripVTControlCharacters(piped.out));
    expect(piped.out).toMatch(/^ {20}-> run npx pgstore migrate, or name another table with --table and --schema$/m);
  });

  it("says what is wrong and what to do on lines of their own", async () => {
    const text = stripVTControlCharacters(await shown(terminal(80), "stats", "--table", "none", ...where));
    expect(text).toBe(
      'pgstore: table "none" does not exist\n' +
        "      -> run npx pgstore migrate, or name another table with --table and\n" +
        "         --schema\n",
    );
  });

  it("colours the help only where there are colours", async () => {
    expect(await shown(terminal(80), "--help")).toContain("\u001B[1mCommands:");
    for (const text of [await shown(terminal(80, false), "--help"), (await pgstore("--help")).out]) {
      expect(text).toContain("Commands:");
      expect(text).toBe(stripVTControlCharacters(text));
    }
  });
});
