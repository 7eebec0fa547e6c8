import { describe, expect, it, onTestFinished } from "vitest";
import { MemoryStore, SessionManager, type SessionOptions } from "../../src/index.ts";
import { dashboard } from "../../src/dashboard.ts";
import { createToken, idOf } from "../../src/lib/core/token.ts";

describe("scope", () => {
  it("leaves the ids of a manager without one as they are, and makes others of the scope and the token", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const token = createToken();
    const idIn = async (options: SessionOptions): Promise<string | undefined> => {
      const session = await new SessionManager(store, options).load();
      return session.id === undefined ? undefined : session.id.replace(session.token ?? "?", token);
    };
    const session = await new SessionManager(store, { scope: "admin" }).load();
    expect(session.id).toBe(idOf(`admin.${session.token}`));
    const plain = await new SessionManager(store).load();
    expect(plain.id).toBe(idOf(plain.token ?? ""));
    expect(await idIn({ hashTokens: false })).toBe(token);
    expect(await idIn({ hashTokens: false, scope: "admin" })).toBe(`admin.${token}`);
  });

  it("is a short word of ASCII", () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    for (const scope of ["", "a b", "a:b", "a.b", "%", "\u00e4", "a\n", "a".repeat(65), 7, null]) {
      expect(() => new SessionManager(store, { scope: scope as string }), String(scope)).toThrow(/^scope: expected/);
    }
    expect(new SessionManager(store, { scope: "a-B_7" }).options.scope).toBe("a-B_7");
  });

  it("is asked for, once, where managers would take tokens of each other", async () => {
    const codes: unknown[] = [];
    const listener = (warning: Error & { code?: string }): void => void codes.push(warning.code);
    process.on("warning", listener);
    onTestFinished(() => void process.off("warning", listener));
    const warnings = async (...all: SessionOptions[]): Promise<unknown[]> => {
      codes.length = 0;
      const store = new MemoryStore({ cleanupInterval: 0 });
      for (const options of all) void new SessionManager(store, options);
      await new Promise((resolve) => setImmediate(resolve));
      return [...codes];
    };
    const shared = ["PGSTORE_SHARED_TABLE"];
    expect(await warnings({ cookie: { name: "a" } }, { cookie: { name: "b" } }, { cookie: { name: "c" } })).toEqual(
      shared,
    );
    expect(await warnings({}, { transport: "header" })).toEqual(shared);
    expect(await warnings({}, { cookie: { prefix: "__Host-" } })).toEqual(shared);
    expect(await warnings({}, {}, { cookie: { domain: "a.example" } })).toEqual([]);
    expect(await warnings({ transport: "header" }, { transport: { header: "x-token" } })).toEqual([]);
    expect(await warnings({}, { cookie: { name: "b" }, scope: "b" }, { transport: "header", scope: "c" })).toEqual([]);
    expect(await warnings({ scope: "a" }, { scope: "a", transport: "header" })).toEqual([]);
  });

  it("doesn't hide the other users of the table from its dashboard", async () => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    const [admin, shop] = [new SessionManager(store, { scope: "admin" }), new SessionManager(store)];
    for (const manager of [admin, shop]) {
      const session = await manager.load();
      await session.login("1");
      await manager.commit(session);
    }
    const site = dashboard(admin, { authorize: () => true });
    const page = async (user: string): Promise<string> => {
      const response = await site(new Request(`http://x/user?id=${encodeURIComponent(user)}`));
      return response?.text() ?? "";
    };
    const idOfUser = async (manager: SessionManager): Promise<string> =>
      (await manager.listByUser("1"))[0]?.id ?? "none";
    // Pages show the hash of an id.
    expect(await page("1")).toContain(idOf(await idOfUser(shop)));
    expect(await page("%admin:1")).toContain(idOf(await idOfUser(admin)));
  });
});
