import express from "express";
import { openStore, SessionManager } from "pgstore";
import { session } from "pgstore/express";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
  }
}

const store = await openStore();
// For clients without cookies. The client sends the token as "Authorization: Bearer …". A new token comes in the response header
// Session-Token. An empty Session-Token means that the session has ended.
const manager = new SessionManager(store, { idleTimeout: "30d", lifetime: "365d", transport: "header" });

const app = express();
app.use(session(manager));
app.use(express.json());

app.get("/", (req, res) => {
  res.json({ user: req.session.userId, notes: req.session.get("notes") ?? [] });
});

app.post("/login", async (req, res) => {
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  await req.session.login(String(req.body?.user || "guest"));
  res.status(204).end();
});

app.post("/notes", (req, res) => {
  const note = String(req.body?.note ?? "");
  // update instead of get and set: if two requests add a note at the same time, both notes are kept.
  req.session.update("notes", (notes = []) => [...notes, note]);
  res.status(204).end();
});

app.post("/logout", async (req, res) => {
  await req.session.logout();
  res.status(204).end();
});

const port = Number(process.env.PORT || 4000);
const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`http://localhost:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
