import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { openStore, SessionManager } from "pgstore";
import { session } from "pgstore/hono";

interface Data {
  notes: string[];
}

const store = await openStore();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const app = new Hono()
  .use(session(manager))
  .get("/", (c) => {
    const { session } = c.var;
    return c.json({ user: session.userId, notes: session.get("notes") ?? [] });
  })
  .post("/login", async (c) => {
    const form = new URLSearchParams(await c.req.text());
    // A real application checks a password first. The session gets a new token, and the old one is dead at once.
    await c.var.session.login(form.get("user") || "guest");
    return c.redirect("/", 303);
  })
  .post("/notes", async (c) => {
    const form = new URLSearchParams(await c.req.text());
    // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
    c.var.session.update("notes", (notes = []) => [...notes, form.get("note") ?? ""]);
    return c.redirect("/", 303);
  })
  .post("/logout", async (c) => {
    await c.var.session.logout();
    return c.redirect("/", 303);
  });

const port = Number(process.env.PORT || 4000);
const server = serve({ fetch: app.fetch, port, hostname: "127.0.0.1" }, () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
