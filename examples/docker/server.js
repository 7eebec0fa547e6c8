import express from "express";
import pg from "pg";
import { PgStore, SessionManager } from "pgstore";
import { session } from "pgstore/express";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: 5000 });
pool.on("error", console.error);
const store = new PgStore(pool);
const manager = new SessionManager(store, { idleTimeout: "1h" });

const app = express();
// For Docker's health check. It reads no session, so a short outage of the database restarts no container.
app.get("/health", (_req, res) => {
  res.send("ok");
});
app.use(session(manager));
app.use(express.urlencoded());

app.get("/", (req, res) => {
  res.json({ user: req.session.userId, notes: req.session.get("notes") ?? [] });
});

app.post("/login", async (req, res) => {
  // A real application checks a password first.
  await req.session.login(String(req.body?.user || "guest"));
  res.redirect(303, "/");
});

app.post("/notes", (req, res) => {
  req.session.update("notes", (notes = []) => [...notes, String(req.body?.note ?? "")]);
  res.redirect(303, "/");
});

app.post("/logout", async (req, res) => {
  await req.session.logout();
  res.redirect(303, "/");
});

const port = Number(process.env.PORT || 4000);
// On all addresses of the container, because Docker publishes no port of its loopback.
const server = app.listen(port, "0.0.0.0", (error) => {
  if (error) throw error;
  console.log(`http://localhost:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => {
      // The store waits for operations under way.
      void store.close({ timeout: "10s" }).then(() => pool.end());
    });
  });
}
