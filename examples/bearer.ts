import express from "express";
import { openStore, SessionManager } from "pgstore";
import { connect } from "pgstore/node";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
  }
}

const store = await openStore();
// For clients without cookies: the token comes as "Authorization: Bearer …". Whenever the client must keep another one,
// the response has it in the header Session-Token; an empty one there says that the session has ended.
const manager = new SessionManager(store, { idleTimeout: "30d", lifetime: "365d", transport: "header" });

const app = express();
app.use(connect(manager));
app.use(express.json());

app.get("/", (req, res) => {
  res.json({ user: req.session.userId, notes: req.session.get("notes") ?? [] });
});

app.post("/login", async (req, res) => {
  // A real application checks a password first. The session gets a new token; the old one is dead at once.
  await req.session.login(String(req.body?.user || "guest"));
  res.status(204).end();
});

app.post("/notes", (req, res) => {
  const note = String(req.body?.note ?? "");
  // Not get and set: of two requests that add a note at the same time, both keep theirs.
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
