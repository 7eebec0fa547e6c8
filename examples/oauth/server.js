import { CodeChallengeMethod, generateCodeVerifier, generateState, OAuth2Client } from "arctic";
import express from "express";
import { openStore, SessionManager } from "pgstore";
import { session } from "pgstore/express";

const port = Number(process.env.PORT || 4000);
const {
  ORIGIN = `http://localhost:${port}`,
  OAUTH_ID = "",
  OAUTH_SECRET = "",
  OAUTH_AUTHORIZE = "https://github.com/login/oauth/authorize",
  OAUTH_TOKEN = "https://github.com/login/oauth/access_token",
  OAUTH_USER = "https://api.github.com/user",
} = process.env;

const store = await openStore();
const manager = new SessionManager(store, { idleTimeout: "1h" });
const oauth = new OAuth2Client(OAUTH_ID, OAUTH_SECRET, `${ORIGIN}/login/callback`);

const app = express();
app.use(session(manager));

app.get("/", (req, res) => {
  res.json({ user: req.session.userId, name: req.session.get("name") });
});

app.get("/login", (req, res) => {
  const [state, verifier] = [generateState(), generateCodeVerifier()];
  req.session.set("oauth", { state, verifier });
  res.redirect(
    oauth.createAuthorizationURLWithPKCE(OAUTH_AUTHORIZE, state, CodeChallengeMethod.S256, verifier, []).href,
  );
});

app.get("/login/callback", async (req, res) => {
  const { code, state } = req.query;
  // pop: a callback counts once. A link from an attacker fails, because the browser of the victim has no such state.
  const pending = req.session.pop("oauth");
  if (typeof code !== "string" || pending === undefined || state !== pending.state) {
    return res.status(400).send("This login was not begun here, or has been used. Log in again.");
  }
  const tokens = await oauth.validateAuthorizationCode(OAUTH_TOKEN, code, pending.verifier);
  const answer = await fetch(OAUTH_USER, {
    headers: { authorization: `Bearer ${tokens.accessToken()}`, "user-agent": "pgstore-example" },
  });
  if (!answer.ok) throw new Error(`the provider answered ${answer.status}`);
  const { id, login } = await answer.json();
  await req.session.login(`github:${id}`); // a new token for the session, the lifetime begins
  req.session.set("name", login);
  res.redirect(303, "/");
});

app.post("/logout", async (req, res) => {
  await req.session.logout();
  res.redirect(303, "/");
});

const server = app.listen(port, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(ORIGIN);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
