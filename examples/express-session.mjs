import express from "express";
import session from "express-session";
import { ExpressSessionStore } from "pgstore/express-session";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: 5000 });
pool.on("error", console.error);
const app = express();
app.use(
  session({
    store: new ExpressSessionStore({ pool, layout: "connect-pg-simple" }),
    secret: process.env.SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 24 * 3600 * 1000 },
  }),
);
app.use(express.urlencoded({ extended: false }));

app.get("/", (req, res) => {
  res.json({ user: req.session.user, notes: req.session.notes ?? [] });
});

app.post("/login", (req, res, next) => {
  const { notes } = req.session;
  req.session.regenerate((error) => {
    if (error) return next(error);
    Object.assign(req.session, { user: req.body.user, notes });
    res.redirect(303, "/");
  });
});

app.post("/notes", (req, res) => {
  req.session.notes = [...(req.session.notes ?? []), req.body.note];
  res.redirect(303, "/");
});

app.post("/logout", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.redirect(303, "/")));
});

const port = Number(process.env.PORT || 4000);
const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`http://localhost:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void pool.end()));
}
