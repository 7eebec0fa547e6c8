import { Hono } from "hono";
import Koa from "koa";
import { LazySession, MemoryStore, SessionManager } from "pgstore";
import { session as honoSession } from "pgstore/hono";
import { session as koaSession } from "pgstore/koa";

/** Frameworks whose middleware types what comes after it. */
interface Data {
  message: string;
}

const store = new MemoryStore();
const manager = new SessionManager<Data>(store);
const lazy = new SessionManager<Data, true>(store, { lazy: true });

new Hono()
  .use(honoSession(manager))
  .use(honoSession(lazy, { property: "later" }))
  .get("/", async (c) => {
    // @ts-expect-error a mistyped key
    c.var.session.set("mesage", "");
    const { later }: { later: LazySession<Data> } = c.var;
    const message: string | undefined = (await later).get("message");
    return c.text(message ?? c.get("session").get("message") ?? "");
  });

new Koa()
  .use(koaSession(manager))
  .use(koaSession(lazy, { property: "later" }))
  .use(async (ctx) => {
    // @ts-expect-error a mistyped key
    ctx.session.set("mesage", "");
    const message: string | undefined = (await ctx.later).get("message");
    ctx.body = message ?? ctx.session.get("message");
  });
