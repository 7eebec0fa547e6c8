import { createHash } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { dashboard, type DashboardManager, type DashboardOptions } from "../../src/dashboard.ts";
import { MemoryStore, PgStore, SessionManager, type StoreOperations } from "../../src/index.ts";
import { sha256 } from "../../src/lib/core/token.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { SCS_TABLE } from "../support/global-setup.ts";
import { linksOf, openPlace, openTo, ORIGIN, type Place } from "./support.ts";

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
beforeEach(async () => {
  vi.restoreAllMocks();
  await place.pool.query("TRUNCATE sessions, sessions_users, sessions_history");
});
afterAll(() => place.drop());

const page = async (path: string, options?: Partial<DashboardOptions<Request>>): Promise<string> => {
  const response = await place.ask(path, {}, options);
  expect(response.status).toBe(200);
  return response.text();
};
const PAGES = ["/", "/?range=week", "/users", "/user?id=ada", "/revoke?user=ada", "/style.css", "/nowhere"];

describe("dashboard", () => {
  it("needs a manager whose ids are no tokens, and authorize", () => {
    const { manager } = place;
    const make =
      (options: unknown, of: unknown = manager) =>
      () =>
        dashboard(of as DashboardManager, options as DashboardOptions);
    const authorize = (): boolean => true;
    expect(make(undefined)).toThrow(/^authorize: expected a function/);
    expect(make({})).toThrow(/^authorize: expected a function/);
    expect(make({ authorize: true })).toThrow(/^authorize: expected a function/);
    expect(make({ authorize }, {})).toThrow(/^manager: expected /);
    expect(make({ authorize }, new SessionManager(place.store, { hashTokens: false }))).toThrow(/hashTokens: false/);
    for (const prefix of ["admin", "/admin?x", "/a b", "//", 7]) {
      expect(make({ authorize, prefix }), String(prefix)).toThrow(/^prefix: /);
    }
    expect(make({ authorize, title: "" })).toThrow(/^title: /);
    expect(make({ authorize, currentSession: "id" })).toThrow(/^currentSession: /);
    expect(make({ authorize, autorize: 1 })).toThrow(/^autorize: there is no such option/);
  });

  it.each(PAGES)("shows nothing of %s unless authorize says true", async (path) => {
    for (const answer of [false, undefined, 1, "true", { user: "ada" }]) {
      const response = await place.ask(path, {}, { authorize: () => answer as boolean });
      expect(response.status).toBe(403);
      expect(await response.text()).toBe("Forbidden\n");
    }
    const later = await place.ask(path, {}, { authorize: () => Promise.resolve(false) });
    expect(later.status).toBe(403);
  });

  it("answers with the Response that authorize gives, and with a bare 500 when it throws", async () => {
    const login = await place.ask(
      "/",
      {},
      { authorize: () => new Response(null, { status: 302, headers: { Location: "/login" } }) },
    );
    expect([login.status, login.headers.get("location")]).toEqual([302, "/login"]);
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    for (const authorize of [() => expect.unreachable("secret"), () => Promise.reject(new Error("secret"))]) {
      const response = await place.ask("/users", {}, { authorize });
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
    }
    expect(logged).toHaveBeenCalledTimes(2);
  });

  it("hands authorize the request itself", async () => {
    const request = new Request(`${ORIGIN}/`);
    const seen: unknown[] = [];
    await openTo(place.manager, { authorize: (given) => seen.push(given) > 0 })(request);
    expect(seen[0]).toBe(request);
  });

  it.each(PAGES)("sends %s with headers that let in nothing from elsewhere", async (path) => {
    const { headers } = await place.ask(path);
    expect(headers.get("content-security-policy")).toMatch(
      /^default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
    );
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("referrer-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
    expect(headers.get("x-robots-tag")).toBe("noindex, nofollow");
    expect(headers.get("cache-control")).toBe(path === "/style.css" ? "private, no-cache" : "no-store");
  });

  it("has one script, which the policy knows, no style in a page, and no address of another host", async () => {
    await place.login("ada", "192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    for (const path of PAGES) {
      const response = await place.ask(path);
      const whole = await response.text();
      const [, script] = /<script>([\s\S]*?)<\/script>/.exec(whole) ?? [];
      if (path !== "/style.css") {
        const digest = createHash("sha256")
          .update(script ?? "")
          .digest("base64");
        expect(response.headers.get("content-security-policy")).toContain(`script-src 'sha256-${digest}';`);
      }
      const text = whole.replaceAll("http://www.w3.org/2000/svg", "").replace(`<script>${script}</script>`, "");
      expect(text, path).not.toMatch(/<script|<style|\sstyle=|\son\w+=|https?:|url\(|@import|\/\/\w/);
    }
  });

  it("answers HEAD like GET without a body, unknown paths with 404, other methods with 405", async () => {
    for (const path of PAGES) {
      const [head, get] = [await place.ask(path, { method: "HEAD" }), await place.ask(path)];
      expect([head.status, await head.text()], path).toEqual([get.status, ""]);
      expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
      if (path === "/nowhere") continue;
      const other = await place.ask(path, { method: "DELETE" });
      expect(other.status).toBe(405);
      expect(other.headers.get("allow")).toBe(path.startsWith("/revoke") ? "GET, HEAD, POST" : "GET, HEAD");
    }
    for (const path of ["/nowhere", "/users/", "/REVOKE", "/%75sers", "/../users/x", "//"]) {
      expect((await place.ask(path)).status, path).toBe(404);
    }
    expect((await place.ask("/users", { method: "POST" })).status).toBe(405);
  });

  it("lets the browser keep the style sheet for as long as it is the same", async () => {
    const first = await place.ask("/style.css");
    expect(first.headers.get("content-type")).toBe("text/css; charset=utf-8");
    const tag = first.headers.get("etag") ?? "";
    expect(tag).toMatch(/^"[\w-]{43}"$/);
    for (const known of [tag, `W/${tag}`, `"other", ${tag}`]) {
      const again = await place.ask("/style.css", { headers: { "if-none-match": known } });
      expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", tag]);
    }
    expect((await place.ask("/style.css", { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });
});

describe("the overview", () => {
  it("tells the figures, what the cleanup did, and the history", async () => {
    for (let n = 0; n < 3; n++) await place.login(n === 0 ? "ada" : "bob");
    await place.pool.query(
      `INSERT INTO sessions_history (at, created, ended, removed, cleaned, took, live, users)
       VALUES (current_timestamp - interval '10 minutes', 600, 120, 4321, current_timestamp - interval '10.5 minutes', 65, 1234, 77)`,
    );
    const text = await page("/");
    const figures = [...text.matchAll(/<dt>([^<]*)<\/dt>\s*<dd>\s*<span class="value">([^<]*)</g)];
    expect(Object.fromEntries(figures.map(([, name, value]) => [name, value]))).toEqual({
      "Live sessions": "3",
      "Logged-in users": "2",
      "Created per minute": "10",
      "Ended per minute": "2",
      "Expired backlog": "0",
      Size: expect.stringMatching(/^\d+ kB$/) as string,
    });
    expect(text).toContain("4,321 rows removed in 65 ms");
    expect(text).toContain("10 minutes ago");
    expect(text).toMatch(/<td>1,234<\/td>\s*<td>77<\/td>/);
    expect(text).toContain("Live sessions over the last hour: from 1,234 to 1,234");
    expect(text.match(/<svg\b/g)).toHaveLength(4);
  });

  it("goes back an hour, a day or a week", async () => {
    await place.pool.query(
      `INSERT INTO sessions_history (at, removed) VALUES (current_timestamp - interval '30 minutes', 1),
         (current_timestamp - interval '20 hours', 20), (current_timestamp - interval '6 days', 300)`,
    );
    const removed = async (range: string): Promise<number> => {
      const table = /<th scope="col">Removed<\/th>[\s\S]*?<\/table>/.exec(await page(`/?range=${range}`))?.[0] ?? "";
      return [...table.matchAll(/<td>([\d,]+)<\/td>/g)].reduce((sum, [, value]) => sum + Number(value), 0);
    };
    expect(await removed("hour")).toBe(1);
    expect(await removed("day")).toBe(21);
    expect(await removed("week")).toBe(321);
    expect(await removed("<x>")).toBe(1);
    expect(await page("/?range=week")).toMatch(/Recorded since \w{3} \d+, \d\d:\d\d\./);
    await place.pool.query(
      "UPDATE sessions_history SET at = at - interval '2 hours', cleaned = current_timestamp - interval '200 minutes'",
    );
    expect(await page("/")).toMatch(
      /Nothing was recorded in the last hour\. The last cleanup was <time[^>]*>3 hours ago</,
    );
  });

  it("can be shown with nothing to show", async () => {
    const text = await page("/");
    expect(text).toContain("No cleanup is on record.");
    expect(text.match(/No history yet\./g)).toHaveLength(3);
    expect(text).toMatch(/Created per minute<\/dt>\s*<dd>\s*<span class="value">–</);
    expect(await page("/users")).toContain(">No user has logged in lately.<");
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("says what a store can't tell, and what to run", async () => {
    const memory = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    const ask = (manager: SessionManager, path: string) => openTo(manager)(new Request(ORIGIN + path));
    expect(await (await ask(memory, "/")).text()).toContain("This store keeps no figures");
    expect(await (await ask(memory, "/users?q=ada")).text()).toContain('href="user?id=ada"');
    expect((await ask(memory, "/user?id=ada")).status).toBe(200);
    const { find, save, delete: remove } = memory.store;
    const bare = new SessionManager({ find, save, delete: remove });
    for (const path of ["/user?id=ada", "/revoke?user=ada"]) {
      const response = await ask(bare, path);
      expect([response.status, await response.text()]).toEqual([404, expect.stringContaining("no sessions by user")]);
    }
  });

  it("says what is an estimate, where counting stopped, and what is not known", async () => {
    const point = { length: 300_000, created: 0, ended: 0, removed: 0, live: undefined, users: undefined };
    const begin = Date.now() - 3_600_000;
    const operations: Partial<StoreOperations> = {
      stats: async () => ({
        live: 1_234_000,
        loggedIn: undefined,
        users: undefined,
        expired: 10_000,
        isEstimate: true,
        expiring: [
          { within: 60_000, count: 4 },
          { within: Number.POSITIVE_INFINITY, count: 1_233_996 },
        ],
        tableBytes: 3 * 1024 ** 3,
        indexBytes: 1024 ** 3,
        cleanup: undefined,
      }),
      // Nothing was noted for two points, then what has happened in all three; and after a long time a point alone.
      history: async () =>
        Array.from({ length: 12 }, (_, n) => ({
          ...point,
          at: new Date(begin + n * point.length),
          ...(n === 2 || n === 3 ? { created: 45, live: 7 } : {}),
          ...(n === 11 ? { live: 9 } : {}),
        })),
      listUsers: async () => ({
        users: [{ userId: "ada", sessions: 1000, lastLogin: new Date(begin) }],
        sorted: "sample",
      }),
      countUsers: async (_prefix, limit) => limit,
    };
    const store = Object.assign(new MemoryStore({ cleanupInterval: 0 }), { operations: operations as StoreOperations });
    const ask = async (path: string): Promise<string> =>
      (await openTo(new SessionManager(store))(new Request(ORIGIN + path))).text();
    const text = await ask("/");
    expect(text).toContain(">about 1.2 million<");
    expect(text).toContain("estimated from a sample");
    expect(text).toContain(">10,000 or more<");
    expect(text).toContain(">4 GB<");
    expect(text).toMatch(/npx pgstore migrate[\s\S]*<dt>Logged-in users<\/dt>\s*<dd>\s*<span class="value">–</);
    expect(text).toContain("Estimated: live sessions by when they expire. ≤ 1 minute: 4; &gt; 1 minute: 1,200,000");
    // 45 in a quarter of an hour, then 45 in five minutes.
    expect(text).toContain("Sessions created per minute over the last hour: from 0 to 9, at last 0;");
    const rates = /id="rates-title"[\s\S]*?<\/table>/.exec(text)?.[0] ?? "";
    const created = [...rates.matchAll(/<th scope="row">[^<]*<\/th>\s*<td>([^<]*)</g)].map(([, value]) => value);
    expect(created).toEqual(["not counted", "not counted", "3", "9", ...Array(7).fill("not counted"), "0"]);
    expect(/<path class="line c1" d="([^"]*)"/.exec(text)?.[1]).toMatch(
      /^M[\d.]+ [\d.]+L[\d.]+ [\d.]+M[\d.]+ [\d.]+h0$/,
    );
    const users = await ask("/users?sort=sessions");
    expect(users).toContain("1,000 or more");
    expect(users).toContain("More than 100,000 users");
    expect(users).toContain("Users with few sessions may be missing");
  });

  it("says what to run when the table lacks the columns, and when there is none", async ({ onTestFinished }) => {
    const [scs, empty] = await Promise.all([0, 0].map(() => createDatabase({ template: false })));
    if (scs === undefined || empty === undefined) return expect.unreachable();
    onTestFinished(async () => void (await Promise.all([scs.drop(), empty.drop()])));
    const managerOf = ({ pool }: TestDatabase) =>
      new SessionManager(new PgStore(pool({ max: 2 }), { cleanupInterval: 0 }));
    const ask = (manager: SessionManager, path: string) => openTo(manager)(new Request(ORIGIN + path));
    await scs.pool({ max: 1 }).query(SCS_TABLE);
    const old = managerOf(scs);
    expect(await (await ask(old, "/")).text()).toContain("npx pgstore migrate");
    for (const path of ["/users", "/user?id=ada", "/revoke?user=ada"]) {
      const response = await ask(old, path);
      expect(response.status, path).toBe(503);
      expect(await response.text()).toMatch(
        /The table is not ready[\s\S]*<pre[^>]*><code>npx pgstore migrate<\/code><\/pre>[\s\S]*<code>await store\.migrate\(\);</,
      );
    }
    const response = await ask(managerOf(empty), "/");
    expect([response.status, await response.text()]).toEqual([503, expect.stringContaining("sessions")]);
  });

  it("tells no more than that when the database is away, or we are wrong", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    const nobody = new pg.Pool({ host: "127.0.0.1", port: 1, database: "secret" });
    nobody.on("error", () => {});
    const away = new SessionManager(new PgStore(nobody, { cleanupInterval: 0 }));
    for (const path of ["/", "/users", "/user?id=ada", "/revoke?user=ada"]) {
      const response = await openTo(away)(new Request(ORIGIN + path));
      expect(response.status, path).toBe(503);
      const text = await response.text();
      expect(text).toContain("The database does not answer");
      expect(text).not.toMatch(/secret|127\.0\.0\.1/);
    }
    expect(logged).not.toHaveBeenCalled();
    vi.spyOn(place.manager, "listByUser").mockRejectedValueOnce(new Error("secret"));
    const wrong = await place.ask("/user?id=ada");
    expect([wrong.status, await wrong.text()]).toEqual([500, "Internal Server Error\n"]);
    expect(logged).toHaveBeenCalledOnce();
  });
});

describe("the search for users", () => {
  it("finds who begins so, in pages that follow one another", async () => {
    await place.pool.query(
      "INSERT INTO sessions_users (user_id, last_login) SELECT 'user' || lpad(n::text, 3, '0'), current_timestamp FROM generate_series(1, 120) n",
    );
    await place.login("ada");
    const seen: string[] = [];
    let path: string | undefined = "users?q=user";
    let pages = 0;
    while (path !== undefined) {
      const text: string = await page(`/${path}`);
      seen.push(...[...text.matchAll(/href="user\?id=([^"]*)"/g)].map(([, id = ""]) => id));
      [path] = linksOf(text, "Next page");
      pages += 1;
    }
    expect(pages).toBe(3);
    expect(seen).toEqual(Array.from({ length: 120 }, (_, n) => `user${String(n + 1).padStart(3, "0")}`));
    expect(await page("/users")).toContain("user?id=ada");
    expect(await page("/users?q=zzz")).toContain("No such user");
  });

  it("takes whatever is typed", async () => {
    for (const text of ["%00", "%", "%ED%A0%80", "'; DROP TABLE sessions; --", "x".repeat(5000), "%_\\", "é🙂"]) {
      for (const path of [`/users?q=${encodeURIComponent(text)}`, `/users?q=a&after=${encodeURIComponent(text)}`]) {
        expect((await place.ask(path)).status, path.slice(0, 40)).toBe(200);
      }
    }
    expect((await place.ask("/users?q=%00")).status).toBe(200);
  });
});

describe("a process whose clock is an hour ahead of the database's", () => {
  it("shows the overview by the database's", async () => {
    const { now } = Date;
    vi.spyOn(Date, "now").mockImplementation(() => now() + 61 * 60_000);
    await page("/");
  });
});

describe("the page of a user", () => {
  it("lists the sessions with their devices, in pages, and nothing that they hold", async () => {
    const session = await place.login(
      "ada",
      "192.0.2.7",
      "Mozilla/5.0 (Windows NT 10.0; rv:141.0) Gecko/20100101 Firefox/141.0",
    );
    const bare = await place.login("ada");
    const text = await page("/user?id=ada");
    expect(text).toContain("Firefox 141 on Windows");
    expect(text).toContain("192.0.2.7");
    // The id is a token where tokens are not hashed: only its beginning is shown, and links have its hash.
    const hash = sha256(session.id ?? "");
    expect(text).toContain(`<code>${session.id?.slice(0, 12)}</code>`);
    expect(text).toContain(`session=${hash}`);
    expect(text).not.toContain(session.id);
    expect(text).toContain("Not recorded");
    for (const { token = "?" } of [session, bare]) expect(text).not.toContain(token);
    expect(text).not.toContain("nobody may see this");
    for (let n = 0; n < 60; n++) await place.login("ada");
    const first = await page("/user?id=ada");
    const [next = ""] = linksOf(first, "Next page");
    const second = await page(`/${next}`);
    const ids = (text: string): string[] => [...text.matchAll(/<code>([\w-]{12})</g)].map(([, id = ""]) => id);
    expect([ids(first).length, ids(second).length]).toEqual([50, 12]);
    expect(new Set([...ids(first), ...ids(second)]).size).toBe(62);
    expect(linksOf(second, "First page")).toEqual(["user?id=ada"]);
    expect(first).toContain("62 live sessions");
    await place.pool.query(
      `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen) SELECT lpad(n::text, 43, '0'), 'x', current_timestamp + interval '1 hour',
         'ada', current_timestamp - n * interval '1 minute', current_timestamp FROM generate_series(1, 40) n`,
    );
    const [one = "", two = "", three = ""] = await pagesFrom("user?id=ada");
    expect([ids(one).length, ids(two).length, ids(three).length]).toEqual([50, 50, 2]);
    const [back = ""] = linksOf(three, "Previous page");
    expect(ids(await page(`/${back}`))).toEqual(ids(two));
    expect(linksOf(two, "Previous page")).toEqual([]);
  });

  it.each([
    `<script>alert(1)</script>`,
    `" onmouseover="alert(1)`,
    `'><img src=x onerror=alert(1)>`,
    `../../users?q=`,
    `a&b=c#d%20e+f`,
    `\u202eevil`,
    `javascript:alert(1)`,
  ])("keeps a hostile id in its place: %s", async (hostile) => {
    const walk = async (userId: string): Promise<string[]> => {
      await place.login(userId, "192.0.2.1", userId);
      const list = await page(`/users?${new URLSearchParams({ q: userId }).toString()}`);
      const href = /href="(user\?id=[^"]*)"/.exec(list)?.[1] ?? "";
      expect(new URL(href, `${ORIGIN}/x/`).searchParams.get("id")).toBe(userId);
      const own = await page(`/${href}`);
      const asked = await page(`/${linksOf(own, "Revoke")[0]}`);
      const all = await page(`/${linksOf(own, "Revoke all sessions")[0]}`);
      return [list, own, asked, all].map(skeleton);
    };
    expect(await walk(hostile)).toEqual(await walk("harmless"));
  });

  it("pages through sessions of one instant, and finds each of them", async () => {
    for (let n = 0; n < 100; n++) await place.login("ada");
    await place.pool.query("UPDATE sessions SET created = '2026-01-01'");
    const seen: string[] = [];
    let last = "";
    for (let next: string | undefined = "user?id=ada"; next !== undefined; [next] = linksOf(last, "Next page")) {
      last = await page(`/${next}`);
      seen.push(...linksOf(last, "Revoke"));
    }
    expect(new Set(seen).size).toBe(100);
    for (const link of [seen[0], seen[99]]) expect(await page(`/${link}`)).toContain("Revoke this session of");
  });

  it("holds no token, in a table that holds them as they are", async () => {
    const open = new SessionManager(place.store, { hashTokens: false });
    const session = await open.load();
    await session.login("ada");
    await open.commit(session);
    const { token = "?" } = session;
    const list = await page("/user?id=ada");
    const [link = ""] = linksOf(list, "Revoke");
    for (const text of [list, await page(`/${link}`)]) expect(text).not.toContain(token);
    expect(list).toContain(sha256(token));
  });

  it("marks the session of whoever looks", async () => {
    const [mine, other] = [await place.login("ada"), await place.login("ada")];
    const text = await page("/user?id=ada", { currentSession: () => mine.id });
    expect(text.match(/this one/g)).toHaveLength(2);
    expect(linksOf(text, "Revoke all sessions")).toEqual([]);
    expect(linksOf(text, "Revoke all but this one")[0]).toContain(sha256(mine.id ?? ""));
    expect(await page("/user?id=ada", { currentSession: () => undefined })).not.toContain("this one");
    expect(other.id).not.toBe(mine.id);
  });

  it.each([
    "/user",
    "/user?id=",
    "/user?id=%00",
    `/user?id=${"x".repeat(1025)}`,
    "/revoke",
    "/revoke?user=",
    "/revoke?user=a&others=1",
  ])("says that there is nobody for %s", async (path) => {
    expect((await place.ask(path)).status).toBe(404);
  });

  it("is there for who has no session, and takes any place for a beginning", async () => {
    expect(await page("/user?id=nobody")).toContain("This user has no live session.");
    for (const query of [
      "created=x&session=y",
      "created=1&session=%00",
      "created=9e99&session=y",
      "created=1",
      "session=y",
    ]) {
      expect((await place.ask(`/user?id=nobody&${query}`)).status, query).toBe(200);
    }
    expect(await page("/user?id=nobody&revoked=%3Cb%3E")).not.toContain('role="status"');
  });
});

/** The pages of a list. */
async function pagesFrom(path: string): Promise<string[]> {
  const pages: string[] = [];
  for (let next: string | undefined = path; next !== undefined; [next] = linksOf(pages.at(-1) ?? "", "Next page")) {
    pages.push(await page(`/${next}`));
  }
  return pages;
}

/** The tags of a page with the names of their attributes, as a parser sees them: what nobody's name may change. */
function skeleton(page: string): string {
  const tags = page.match(/<[^>"]*(?:"[^"]*"[^>"]*)*>/g) ?? [];
  return tags.map((tag) => tag.replace(/"[^"]*"/g, "").replace(/\s+/g, " ")).join("");
}
