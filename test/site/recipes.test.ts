import express, { type Express } from "express";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../src/express.ts";
import { PgStore, SessionManager, type SessionOptions } from "../../src/index.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { example } from "../support/pages.ts";
import { Browser, PageRunner } from "../support/run-page.ts";

let database: TestDatabase;
let pages: PageRunner;
let pool: pg.Pool;
let store: PgStore;
beforeAll(async () => {
  database = await createDatabase();
  pages = new PageRunner(database.url);
  pool = database.admin();
  store = new PgStore(database.pool(), { cleanupInterval: 0 });
});
afterAll(async () => {
  await pages.close();
  await database.drop();
});

type Manager = SessionManager<Record<string, unknown>>;

/** Every name of a user that the pages use, made different for each test, as all share a table. */
let users = 0;

/**
 * Runs blocks of a page in a program like that of Start, and serves it.
 *
 * @param names - of the examples, in their order; `.sql` runs in the database
 */
async function program(
  page: string,
  names: string[],
  options: { scope?: Record<string, unknown>; manager?: SessionOptions } = {},
): Promise<{ app: Express; manager: Manager; browser: () => Browser; user: string }> {
  const manager: Manager = new SessionManager<Record<string, unknown>>(store, {
    scope: `test${(users += 1)}`,
    ...options.manager,
  });
  const app = express();
  // express's own log of errors that the recipes cause on purpose
  app.set("env", "test");
  app.use(connect(manager), express.urlencoded());
  app.get("/", (req, res) => res.send(manager.sessionOf(req).userId ?? "stranger"));
  for (const name of names) {
    const block = example(`docs/recipes/${page}.md`, name);
    if (block.language === "sql") await pool.query(block.code);
    else await pages.run(block, [], { app, manager, pool, store, PgStore, SessionManager, ...options.scope });
  }
  app.listen(4000);
  const url = await pages.url();
  return { app, manager, browser: () => new Browser(url), user: "user-42" };
}

const text = async (response: Promise<Response>): Promise<string> => await (await response).text();

describe("the recipes", () => {
  it("Password login: signs up, logs in and out, and tells nobody who has an account", async () => {
    const { browser } = await program("password-login", ["table", "login"]);
    const [ada, thief] = [browser(), browser()];
    const account = { email: "Ada@example.com", password: "correct horse" };
    expect((await ada.post("/signup", account)).status).toBe(303);
    const id = await text(ada.get("/me"));
    expect(id).toMatch(/^\d+$/);
    expect((await thief.post("/signup", account)).status).toBe(409);
    for (const wrong of [
      { email: "ada@example.com", password: "guess" },
      { email: "eve@example.com", password: "guess" },
    ]) {
      const answer = await thief.post("/login", wrong);
      expect([answer.status, await answer.text()]).toEqual([401, "Wrong address or password"]);
    }
    const before = ada.cookie;
    await ada.post("/logout");
    expect((await ada.get("/me")).status).toBe(401);
    await ada.post("/login", { ...account, email: "ada@EXAMPLE.com" });
    expect(await text(ada.get("/me"))).toBe(id);
    expect(ada.cookie).not.toBe(before);
  });

  it("Flash messages: shows a message once, after a log-out as well", async () => {
    const { browser } = await program("flash", ["flash", "goodbye"]);
    const ada = browser();
    await ada.post("/settings");
    expect(await text(ada.get("/settings"))).toBe("Your settings are saved.");
    expect(await text(ada.get("/settings"))).toBe("Settings");
    await ada.post("/logout");
    expect(await text(ada.get("/settings"))).toBe("You are logged out.");
  });

  it("Remember me: sends a persistent cookie of 30 days only if the box is ticked", async () => {
    const { browser, manager, user } = await program("remember-me", ["remember", "options"]);
    const maxAgeOf = (response: Response): number =>
      Number(/Max-Age=(\d+)/.exec(response.headers.getSetCookie()[0] ?? "")?.[1]);
    const month = 30 * 24 * 3600;
    expect(maxAgeOf(await browser().post("/login", {}))).toBeNaN();
    const remembered = maxAgeOf(await browser().post("/login", { remember: "on" }));
    expect(remembered).toBeGreaterThan(month - 120);
    expect(remembered).toBeLessThanOrEqual(month);
    await browser().post("/login-week");
    expect(await manager.listByUser(user)).toHaveLength(3);
    expect(await manager.destroyByTag("idp-session-7")).toBe(1);
  });

  it("Devices: lists them, knows this one, and revokes only the user's own", async () => {
    const { browser, manager } = await program("devices", ["devices"], {
      manager: { recordIp: true, recordUserAgent: true },
    });
    const [phone, laptop] = [browser(), browser()];
    const login = async (device: Browser, user: string): Promise<string | undefined> => {
      const session = await manager.load();
      await session.login(user);
      await manager.commit(session);
      device.use(`session=${session.token}`);
      return session.id;
    };
    const id = await login(phone, "ada");
    await login(laptop, "ada");
    const list = (await (await laptop.get("/devices")).json()) as { id: string; isThisOne: boolean }[];
    expect(list.filter(({ isThisOne }) => isThisOne)).toHaveLength(1);
    expect(list).toHaveLength(2);
    const eve = browser();
    await login(eve, "eve");
    expect((await eve.post("/devices/revoke", { id: id ?? "" })).status).toBe(404);
    expect((await laptop.post("/devices/revoke", { id: id ?? "" })).status).toBe(200);
    expect(await text(phone.get("/"))).toBe("stranger");
    expect(await text(laptop.get("/"))).toBe("ada");
  });

  it("Log out everywhere: ends the others, then all", async () => {
    const { browser } = await program("remember-me", ["remember"]).then(async ({ app, manager, browser }) => {
      await pages.run(example("docs/recipes/log-out-everywhere.md", "everywhere"), [], { app, manager });
      return { browser };
    });
    const [mine, other] = [browser(), browser()];
    await mine.post("/login", {});
    await other.post("/login", {});
    expect(await text(mine.post("/password"))).toBe("1 other sessions have ended");
    expect([await text(mine.get("/")), await text(other.get("/"))]).toEqual(["user-42", "stranger"]);
    await other.post("/login", {});
    expect((await mine.post("/log-out-everywhere")).status).toBe(303);
    expect([await text(mine.get("/")), await text(other.get("/"))]).toEqual(["stranger", "stranger"]);
  });

  it("Fresh login: refuses an old login until the password is given again", async () => {
    const { browser, app, manager } = await program("fresh-login", ["fresh"]);
    const ada = browser();
    expect((await ada.post("/pay", {})).status).toBe(401);
    const session = await manager.load();
    await session.login("ada");
    await manager.commit(session);
    ada.use(`session=${session.token}`);
    expect(await text(ada.post("/pay", {}))).toBe("ada has paid");
    expect((await ada.post("/confirm", { password: "guess" })).status).toBe(403);
    expect((await ada.post("/confirm", { password: "secret" })).status).toBe(303);
    expect(ada.cookie).not.toBe(`session=${session.token}`);
    app.get("/old", (req, res) => void res.send(manager.sessionOf(req).requireFresh(0)));
    await pages.run(example("docs/recipes/fresh-login.md", "form"), [], { app });
    expect((await ada.get("/old")).headers.get("location")).toBe("/confirm");
  });

  it("Anonymous basket: keeps what parallel requests add, and survives the login", async () => {
    const { browser } = await program("anonymous-basket", ["basket"]);
    const visitor = browser();
    await visitor.post("/basket", { article: "tea" });
    await Promise.all(["cup", "pot", "spoon"].map((article) => visitor.post("/basket", { article })));
    await visitor.post("/login");
    const basket = (await (await visitor.get("/basket")).json()) as string[];
    expect(basket.toSorted()).toEqual(["cup", "pot", "spoon", "tea"]);
    expect(await text(visitor.get("/"))).toBe("user-42");
  });

  it("Anonymous basket: moves into a table", async () => {
    await pool.query("CREATE TABLE basket_items (account TEXT, article TEXT)");
    const { browser, app } = await program("anonymous-basket", ["basket", "merge"]);
    expect(app).toBeDefined();
    const visitor = browser();
    await visitor.post("/basket", { article: "tea" });
    await visitor.post("/login-and-merge");
    expect((await pool.query("SELECT article FROM basket_items")).rows).toEqual([{ article: "tea" }]);
    expect(await (await visitor.get("/basket")).json()).toEqual([]);
  });

  it("Impersonation: shows a user's page to support, and nothing to others", async () => {
    const { browser, manager } = await program("impersonation", ["impersonation"], {
      scope: { supporters: new Set(["grace"]), console: { log: () => {} } },
    });
    const as = async (user: string): Promise<Browser> => {
      const session = await manager.load();
      await session.login(user);
      await manager.commit(session);
      const device = browser();
      device.use(`session=${session.token}`);
      return device;
    };
    const [grace, eve] = [await as("grace"), await as("eve")];
    expect((await eve.post("/support/act-for", { userId: "ada" })).status).toBe(403);
    await grace.post("/support/act-for", { userId: "ada" });
    expect(await text(grace.get("/account"))).toBe("Account of ada, shown to grace");
    expect((await grace.post("/account/delete")).status).toBe(403);
    await grace.post("/support/stop");
    expect(await text(grace.get("/account"))).toBe("Account of grace");
    await grace.post("/support/act-for", { userId: "ada" });
    await manager.destroyByUser("grace");
    expect((await grace.get("/account")).status).toBe(401);
  });

  it("Rate limit: counts parallel guesses, and lets a right password in", async () => {
    const { browser } = await program("rate-limit", ["table", "limit"]);
    const wrong = { email: "ada@example.com", password: "guess" };
    const right = { ...wrong, password: "secret" };
    expect((await browser().post("/login", wrong)).status).toBe(401);
    expect((await browser().post("/login", right)).status).toBe(303);
    const statuses = await Promise.all(
      Array.from({ length: 8 }, async () => (await browser().post("/login", wrong)).status),
    );
    expect(statuses.toSorted((a, b) => a - b)).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
    const refused = await browser().post("/login", right);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "900"]);
    expect((await browser().post("/login", { ...right, email: "eve@example.com" })).status).toBe(303);
  });
});
