import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import * as pgstore from "../../src/index.ts";
import { nodeHandler, type NodeListener } from "../../src/node.ts";
import { cookieOf, serving } from "../support/serve.ts";

type Manager = pgstore.SessionManager<Record<string, unknown>>;
type Rename = (...args: [...Parameters<NodeListener>, URLSearchParams]) => void;

const page = readFileSync(fileURLToPath(new URL("../../docs/validated-data.md", import.meta.url)), "utf8");

/** Runs an example of the page. @param returns - the name of what it defines */
async function run<T>(name: string, returns: string, scope: Record<string, unknown>): Promise<T> {
  const block = new RegExp(`<!-- example: ${name} -->\\s*\`\`\`ts\\n([^]*?)\`\`\``).exec(page)?.[1] ?? "";
  const { code } = await transform(block, { loader: "ts", format: "esm", target: "node20" });
  const names = { ...pgstore, z, ...scope };
  const AsyncFunction = (async () => {}).constructor as new (...args: string[]) => (...args: unknown[]) => Promise<T>;
  const body = `${code.replace(/^import .*$/gm, "")}\nreturn ${returns};`;
  return new AsyncFunction(`{ ${Object.keys(names).join(", ")} }`, body)(names);
}

describe("docs/validated-data.md", () => {
  const store = new pgstore.MemoryStore({ cleanupInterval: 0 });

  it("shows a schema with defaults", async () => {
    const session = await run<pgstore.Session<Record<string, unknown>>>("schema", "session", { store });
    const again = await new pgstore.SessionManager<Record<string, unknown>>(store).load(session.token);
    expect([again.get("name"), again.get("visits"), again.get("cart")]).toEqual(["Ada", 1, [{ sku: "A-1", count: 2 }]]);
  });

  it("shows how to migrate a value", async () => {
    const before = new pgstore.SessionManager<Record<string, unknown>>(store);
    const old = await before.load();
    old.set("cart", "a,b");
    await before.commit(old);
    const manager = await run<Manager>("migrate", "manager", { store });
    expect((await manager.load(old.token)).get("cart")).toEqual(["a", "b"]);
  });

  it("shows how to answer a form's wrong input", async () => {
    const schema = { name: z.string().min(2, "too short") };
    const manager = new pgstore.SessionManager(store, { schema });
    const rename = await run<Rename>("errors", "rename", { manager });
    const listener = nodeHandler(manager, (req, res) =>
      rename(req, res, new URL(req.url ?? "", "http://x").searchParams),
    );
    await serving(listener, async ({ get }) => {
      const refused = await get("/?name=A");
      expect([refused.status, await refused.text(), cookieOf(refused)]).toEqual([400, "too short", undefined]);
      expect((await get("/?name=Ada")).status).toBe(303);
    });
  });
});
