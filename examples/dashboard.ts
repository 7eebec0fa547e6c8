import express, { type Request } from "express";
import { openStore, SessionManager } from "pgstore";
import { dashboard } from "pgstore/dashboard";
import { session } from "pgstore/express";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
    role: "admin" | "user";
  }
}

const store = await openStore();
// The dashboard shows where logins came from. That is personal data, so it is recorded only with these options.
const manager = new SessionManager(store, { idleTimeout: "1h", recordIp: true, recordUserAgent: true });

const app = express();
app.use(session(manager));

// Visitors are redirected to the login form. Users without the role get a 403.
const sessions = dashboard<Request>(manager, {
  authorize: ({ session }) => {
    if (session.userId === undefined) return new Response(null, { status: 303, headers: { Location: "/login" } });
    return session.get("role") === "admin";
  },
});
app.use("/admin/sessions", sessions);

app.use(express.urlencoded({ extended: false }));

app.get("/", (req, res) => {
  res.json({ user: req.session.userId, notes: req.session.get("notes") ?? [] });
});

app.get("/login", (_req, res) => {
  res.type("html").send(`<!doctype html><html lang="en"><title>Log in</title>
    <form method="post"><label>User <input name="user" value="admin"></label> <button>Log in</button></form></html>`);
});

app.post("/login", async (req, res) => {
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  const user = String(req.body?.user || "guest");
  await req.session.login(user);
  req.session.set("role", user === "admin" ? "admin" : "user");
  res.redirect(303, user === "admin" ? "/admin/sessions/" : "/");
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
