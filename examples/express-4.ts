// npm install express-4@npm:express@4. If Express 4 is installed as "express", import "express" instead.
import express, { type Request, type RequestHandler, type Response } from "express-4";
import { openStore, SessionManager } from "pgstore";
import { session } from "pgstore/express";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
  }
}

const store = await openStore();
const manager = new SessionManager(store, { idleTimeout: "1h" });

const app = express();
app.use(session(manager));
app.use(express.urlencoded({ extended: false }));

app.get("/", (req, res) => {
  res.json({ user: req.session.userId, notes: req.session.get("notes") ?? [] });
});

app.post(
  "/login",
  caught(async (req, res) => {
    // A real application checks a password first. The session gets a new token, and the old one is dead at once.
    await req.session.login(String(req.body.user || "guest"));
    res.redirect(303, "/");
  }),
);

app.post("/notes", (req, res) => {
  const note = String(req.body.note ?? "");
  // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
  req.session.update("notes", (notes = []) => [...notes, note]);
  res.redirect(303, "/");
});

app.post(
  "/logout",
  caught(async (req, res) => {
    await req.session.logout();
    res.redirect(303, "/");
  }),
);

/** Express 4 ignores the promise of a handler. Without this wrapper, a rejection would end the process. */
function caught(handler: (req: Request, res: Response) => Promise<void>): RequestHandler {
  return (req, res, next) => {
    handler(req, res).catch(next);
  };
}

const port = Number(process.env.PORT || 4000);
const server = app.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
