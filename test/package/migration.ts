import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { expect } from "vitest";
import { browser, type Client } from "./clients.ts";
import { onNode, startExample } from "./example-process.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const after = readFileSync(join(root, "examples/express-session.mjs"), "utf8");

/** The lines that docs/migrate/from-connect-pg-simple.md changes, each as it is before and after. */
export function changedLines(): [before: string, after: string][] {
  const page = readFileSync(join(root, "docs/migrate/from-connect-pg-simple.md"), "utf8");
  const block = /<!-- example: change -->\s*```diff\n([\s\S]*?)```/.exec(page)?.[1] ?? "";
  const lines = block.trimEnd().split("\n");
  const of = (sign: string): string[] => lines.filter((line) => line.startsWith(sign)).map((line) => line.slice(1));
  const added = of("+");
  return of("-").map((line, index) => [line, added[index] ?? ""]);
}

/** Goes there and back, as the page says, on a table that connect-pg-simple makes, with one browser. */
export async function migrateAndBack(
  folder: string,
  databaseUrl: string,
  pool: pg.Pool,
  atEnd: (kill: () => void) => void,
): Promise<void> {
  let before = after;
  for (const [old, changed] of changedLines()) {
    expect(after.split("\n")).toContain(changed);
    before = before.replace(changed, old);
  }
  writeFileSync(join(folder, "before.mjs"), before);
  writeFileSync(join(folder, "after.mjs"), after);
  const env = () => ({ SESSION_SECRET: "keep it secret" });
  const start = (file: string) => startExample({ ...onNode(folder, file), env }, databaseUrl, atEnd);
  const [old, changed] = [await start("before.mjs"), await start("after.mjs")];
  // The same browser: the two are one application at two addresses.
  const visit = (url: string, token?: string): Client => browser(url, token, "connect.sid");
  const early = visit(old.url);
  expect(await early.post("/notes", { note: "before" })).toBe(303);
  expect(await early.post("/login", { user: "ada" })).toBe(303);
  const there = visit(changed.url, early.token);
  expect(await there.read()).toEqual({ user: "ada", notes: ["before"] });
  expect(await there.post("/notes", { note: "after" })).toBe(303);
  const late = visit(changed.url);
  expect(await late.post("/login", { user: "bob" })).toBe(303);
  expect(await visit(old.url, late.token).read()).toEqual({ user: "bob", notes: [] });
  expect(await early.read()).toEqual({ user: "ada", notes: ["before", "after"] });

  const { token } = there;
  expect(await there.post("/logout")).toBe(303);
  for (const { url } of [old, changed]) {
    expect(await visit(url, token).read()).toEqual({ notes: [] });
  }
  expect((await pool.query("SELECT sess->>'user' AS name FROM session WHERE expire > now()")).rows).toEqual([
    { name: "bob" },
  ]);
  for (const running of [old, changed]) {
    await running.stop();
    expect(await running.ended()).toEqual({ code: 0, errors: "" });
  }
}
