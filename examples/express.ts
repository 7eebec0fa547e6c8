import express from "express";
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

app.post("/login", async (req, res) => {
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  await req.session.login(String(req.body?.user || "guest"));
  res.redirect(303, "/");
});

app.post("/notes", (req, res) => {
  const note = String(req.body?.note ?? "");
  // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
  req.session.update("notes", (notes = []) => [...notes, note]);
  res.redirect(303, "/");
});

app.post("/logout", async (req, res) => {
  await req.session.logout();
  res.redirect(303, "/");
});

const port = Number(process.env.PORT || 4000);
const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`http://localhost:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
