import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { openStore, SessionManager } from "pgstore";
import { connect } from "pgstore/node";
import polka from "polka";

interface Data {
  notes: string[];
}

const store = await openStore();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const app = polka();
app.use(connect(manager));

app.get("/", (req, res) => {
  const session = manager.sessionOf(req);
  res.setHeader("Content-Type", "application/json");
  res.end(JSON.stringify({ user: session.userId, notes: session.get("notes") ?? [] }));
});

app.post(
  "/login",
  caught(async (req, res) => {
    const form = new URLSearchParams(await text(req));
    // A real application checks a password first. The session gets a new token, and the old one is dead at once.
    await manager.sessionOf(req).login(form.get("user") || "guest");
    res.writeHead(303, { Location: "/" }).end();
  }),
);

app.post(
  "/notes",
  caught(async (req, res) => {
    const form = new URLSearchParams(await text(req));
    // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
    manager.sessionOf(req).update("notes", (notes = []) => [...notes, form.get("note") ?? ""]);
    res.writeHead(303, { Location: "/" }).end();
  }),
);

app.post(
  "/logout",
  caught(async (req, res) => {
    await manager.sessionOf(req).logout();
    res.writeHead(303, { Location: "/" }).end();
  }),
);

/** Polka ignores the promise of a handler. Without this wrapper, a rejection would end the process. */
function caught(handler: (req: IncomingMessage, res: ServerResponse) => Promise<void>): polka.Middleware {
  return (req, res, next) => {
    handler(req, res).catch(next);
  };
}

const port = Number(process.env.PORT || 4000);
app.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => app.server?.close(() => void store.close()));
}
