import { createHmac } from "node:crypto";
import createFastify from "fastify";
import Koa from "koa";
import { describe, expect, it } from "vitest";
import { ExpressSessionStore } from "../../src/express-session.ts";
import { session as fastifySession } from "../../src/fastify.ts";
import { MemoryStore, SessionManager } from "../../src/index.ts";
import { session as koaSession } from "../../src/koa.ts";
import type { NodeListener } from "../../src/node.ts";
import { serving } from "../support/serve.ts";

// With express-session itself: test/express-session/migrate-from.test.ts.
describe("migrateFrom", () => {
  const secret = "a secret of the test";
  const inMemory = (): MemoryStore => new MemoryStore({ cleanupInterval: 0 });

  const hosts: Record<string, (manager: SessionManager, store: ExpressSessionStore) => Promise<NodeListener>> = {
    Koa: async (manager, store) => {
      const app = new Koa().use(koaSession(manager, { migrateFrom: { expressSession: { secret, store } } }));
      app.use((context) => {
        context.body = manager.sessionOf(context).userId;
      });
      return app.callback();
    },
    Fastify: async (manager, store) => {
      const app = createFastify();
      await app.register(fastifySession, { manager, migrateFrom: { expressSession: { secret, store } } });
      app.get("/", async (request) => manager.sessionOf(request).userId ?? "nobody");
      await app.ready();
      return (request, response) => app.server.emit("request", request, response);
    },
  };

  for (const [name, host] of Object.entries(hosts)) {
    it(`continues a session of express-session in ${name}`, async () => {
      const store = new ExpressSessionStore({ store: inMemory() });
      const sid = "an old session";
      await store.set(sid, { cookie: {}, passport: { user: { id: 7 } } } as never);
      const signature = createHmac("sha256", secret).update(sid).digest("base64").replace(/=+$/, "");
      const theirs = `connect.sid=${encodeURIComponent(`s:${sid}.${signature}`)}`;
      await serving(await host(new SessionManager(inMemory()), store), async ({ get }) => {
        const first = await get("/", theirs);
        expect(await first.text()).toBe("7");
        const [removed, set = ""] = first.headers.getSetCookie();
        expect(removed).toMatch(/^connect\.sid=; Max-Age=0;/);
        expect(await (await get("/", set.split(";", 1)[0])).text()).toBe("7");
      });
      expect(await store.get(sid)).toBe(undefined);
    });
  }
});
