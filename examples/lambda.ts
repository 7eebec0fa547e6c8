import { configure } from "@codegenie/serverless-express";
import express from "express";
import pg from "pg";
import { PgStore, SessionManager } from "pgstore";
import { session } from "pgstore/express";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
  }
}

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  connectionTimeoutMillis: 5000,
  // An instance of a function serves one request at a time.
  max: 1,
  allowExitOnIdle: true,
});
pool.on("error", console.error);
// Between requests the process is frozen, and with it the timer of the cleanup. `cleanUp` takes its place.
const store = new PgStore(pool, { cleanupInterval: 0 });
const manager = new SessionManager(store, { idleTimeout: "1h" });

const app = express();
// The gateway ends TLS and says so in X-Forwarded-Proto, which makes the cookie Secure.
app.set("trust proxy", 1);
// Before anything that waits: serverless-express gives Express a request whose body counts as read a moment later.
app.use(express.urlencoded({ extended: false }));
app.use(session(manager));

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

// Express's own page needs a socket, which serverless-express does not have.
app.use((_req, res) => {
  res.status(404).end();
});

/** For the function behind the API Gateway, a function URL or a load balancer. */
export const handler = configure({ app });

/** For a function that a schedule calls every few minutes. Resolves to the number of expired sessions that it removed. */
export const cleanUp = (): Promise<number> => store.deleteExpired();

/** For a function that the deployment calls once. */
export const migrate = (): Promise<void> => store.migrate();
