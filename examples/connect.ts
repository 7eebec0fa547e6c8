import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import createApp, { type NextHandleFunction } from "connect";
import { openStore, SessionManager } from "pgstore";
import { connect } from "pgstore/node";

interface Data {
  notes: string[];
}

const store = await openStore();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const app = createApp();
app.use(connect(manager));

app.use(
  "/login",
  post(async (req, res) => {
    const form = new URLSearchParams(await text(req));
    // A real application checks a password first. The session gets a new token, and the old one is dead at once.
    await manager.sessionOf(req).login(form.get("user") || "guest");
    res.writeHead(303, { Location: "/" }).end();
  }),
);

app.use(
  "/notes",
  post(async (req, res) => {
    const form = new URLSearchParams(await text(req));
    // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
    manager.sessionOf(req).update("notes", (notes = []) => [...notes, form.get("note") ?? ""]);
    res.writeHead(303, { Location: "/" }).end();
  }),
);

app.use(
  "/logout",
  post(async (req, res) => {
    await manager.sessionOf(req).logout();
    res.writeHead(303, { Location: "/" }).end();
  }),
);

app.use((req, res, next) => {
  if (req.method !== "GET" || req.url !== "/") return next();
  const session = manager.sessionOf(req);
  res.setHeader("Content-Type", "application/json");
  res.end(JSON.stringify({ user: session.userId, notes: session.get("notes") ?? [] }));
});

/** Connect ignores the promise of a handler. Without this wrapper, a rejection would end the process. */
function post(handler: (req: IncomingMessage, res: ServerResponse) => Promise<void>): NextHandleFunction {
  return (req, res, next) => {
    if (req.method === "POST") handler(req, res).catch(next);
    else next();
  };
}

const server = http.createServer(app);

const port = Number(process.env.PORT || 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
