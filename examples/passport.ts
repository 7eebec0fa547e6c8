import express from "express";
import passport from "passport";
import { Strategy } from "passport-local";
import { openStore, SessionManager } from "pgstore";
import { connect } from "pgstore/express";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
  }
}

const store = await openStore();
const manager = new SessionManager(store, { idleTimeout: "1h" });

// A real application checks the password. The form of this example has only the field "user".
const fields = { usernameField: "user", passwordField: "user" };
passport.use(new Strategy(fields, (name, _password, done) => done(null, { id: name })));
passport.serializeUser((user, done) => done(null, (user as { id: string }).id));
passport.deserializeUser((id, done) => done(null, { id: id as string }));

const app = express();
app.use(connect(manager, { passport: true }));
app.use(passport.session());
app.use(express.urlencoded({ extended: false }));

app.get("/", (req, res) => {
  res.json({ user: (req.user as { id: string } | undefined)?.id, notes: req.session.get("notes") ?? [] });
});

// keepSessionInfo keeps what the visitor has stored. The session gets a new token in any case.
app.post("/login", passport.authenticate("local", { keepSessionInfo: true }), (_req, res) => res.redirect(303, "/"));

app.post("/notes", (req, res) => {
  const note = String(req.body?.note ?? "");
  req.session.update("notes", (notes = []) => [...notes, note]);
  res.redirect(303, "/");
});

app.post("/logout", (req, res, next) => {
  req.logout((error) => (error ? next(error) : res.redirect(303, "/")));
});

const port = Number(process.env.PORT || 4000);
const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`http://localhost:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
