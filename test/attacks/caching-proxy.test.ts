import { describe, expect, it } from "vitest";
import { MemoryStore, SessionManager } from "../../src/index.ts";
import type { App } from "../contract/adapter-contract.ts";
import { adapterHosts } from "../contract/adapter-hosts.ts";
import { startCachingProxy } from "../support/caching-proxy.ts";

const CACHEABLE = { headers: { "Cache-Control": "public, max-age=60" } };

const routes: App["routes"] = {
  "/login/ada": async (session) => (await session.login("ada"), { ...CACHEABLE, body: "in" }),
  "/login/bob": async (session) => (await session.login("bob"), { ...CACHEABLE, body: "in" }),
  "/me": (session) => ({ ...CACHEABLE, body: `I am ${session.userId}` }),
  "/note": (session) => (session.set("note", session.userId), { ...CACHEABLE, body: `of ${session.userId}` }),
  "/style": () => ({ ...CACHEABLE, body: "body {}" }),
};

/** @see CVE-2023-30861, CVE-2025-48947 */
describe("a shared cache between two users mixes neither their pages nor their cookies", () => {
  for (const [name, host] of Object.entries(adapterHosts)) {
    it(name, async () => {
      const store = new MemoryStore({ cleanupInterval: 0 });
      // Each request refreshes the cookie: the path on which others have forgotten the headers.
      const manager = new SessionManager<Record<string, unknown>>(store, {
        idleTimeout: "1h",
        touchAfter: 0,
        cookie: { persist: true },
      });
      const served = await host.serve({ managers: [manager], routes });
      const proxy = await startCachingProxy(served.url);
      try {
        const cookies: Record<string, string> = {};
        const visit = async (user: string, path: string): Promise<string> => {
          const cookie = cookies[user];
          const response = await fetch(proxy.url + path, { headers: cookie === undefined ? {} : { cookie } });
          const [set] = response.headers.getSetCookie();
          if (set !== undefined) {
            expect(response.headers.get("cache-control")).toMatch(/no-store/);
            cookies[user] = set.split(";")[0] ?? "";
          }
          return response.text();
        };
        for (const user of ["ada", "bob"]) await visit(user, `/login/${user}`);
        expect(cookies["ada"]).not.toBe(cookies["bob"]);
        for (let round = 0; round < 3; round++) {
          for (const user of ["ada", "bob"]) {
            expect(await visit(user, "/me")).toBe(`I am ${user}`);
            expect(await visit(user, "/note")).toBe(`of ${user}`);
            expect(await visit("nobody", "/me")).toBe("I am undefined");
          }
        }
        for (const user of ["ada", "bob"]) {
          const token = cookies[user]?.slice("session=".length);
          expect((await manager.load(token)).userId).toBe(user);
        }
        // It is a cache: what depends on no session is kept.
        const { hits } = proxy.seen;
        for (const user of ["nobody", "nobody", "somebody"]) expect(await visit(user, "/style")).toBe("body {}");
        expect(proxy.seen.hits).toBeGreaterThan(hits);
      } finally {
        await proxy.close();
        await served.close();
      }
    });
  }
});
