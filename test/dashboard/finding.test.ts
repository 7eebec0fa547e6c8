import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { DashboardOptions } from "../../src/dashboard.ts";
import { MemoryStore, SessionManager } from "../../src/index.ts";
import { fieldsOf, linksOf, openPlace, openTo, ORIGIN, type Place, post } from "./support.ts";

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
beforeEach(async () => {
  vi.restoreAllMocks();
  await place.pool.query("TRUNCATE sessions, sessions_users");
});
afterAll(() => place.drop());

const page = async (path: string, options?: Partial<DashboardOptions<Request>>): Promise<string> => {
  const response = await place.ask(path, {}, options);
  expect(response.status, path).toBe(200);
  return response.text();
};
/** Follows the search field. */
const find = async (text: string): Promise<string> => {
  const query = new URLSearchParams({ q: text }).toString();
  const response = await place.ask(`/users?${query}`);
  expect([response.status, response.headers.get("location")]).toEqual([303, `sessions?${query}`]);
  return page(`/sessions?${query}`);
};

describe("the search for sessions", () => {
  it("finds a session by its id, by an older id, and by the hash in a link", async () => {
    const session = await place.login("ada", "192.0.2.7");
    const id = session.id ?? "";
    const text = await find(id);
    expect(text).toContain('href="user?id=ada"');
    expect(text).not.toContain(`${id}"><input`);
    const renewed = await place.manager.load(session.token);
    await renewed.renewToken();
    await place.manager.commit(renewed);
    expect(await find(id)).toContain(renewed.id?.slice(0, 12));
    const [link = ""] = linksOf(await page("/user?id=ada"), "Revoke");
    expect(await find(new URL(link, ORIGIN).searchParams.get("session") ?? "")).toContain("192.0.2.7");
    // What the pages show of an id may be the beginning of a user's.
    const shown = renewed.id?.slice(0, 12) ?? "";
    const [other = ""] = linksOf(await page(`/users?q=${shown}`), "Find the session whose id begins so instead");
    expect(await page(`/${other}`)).toContain('href="user?id=ada"');
    expect(await find("A".repeat(43))).toContain("No live session has this id.");
    await place.manager.destroyByUser("ada");
    expect(await find(id)).toContain("No live session has this id.");
  });

  it("revokes the session that was found, also one that nobody has logged in", async () => {
    const ada = await place.login("ada");
    const visitor = await place.manager.load();
    visitor.set("notes" as never, "nobody may see this" as never);
    await place.manager.commit(visitor);
    for (const [session, after] of [
      [ada, "user?id=ada&revoked=1"],
      [visitor, "./?revoked=1"],
    ] as const) {
      const found = await find(session.id ?? "");
      expect(found).not.toContain("nobody may see this");
      const asked = await place.ask(`/${linksOf(found, "Revoke")[0]}`);
      const [cookie = ""] = asked.headers.getSetCookie();
      const form = post(fieldsOf(await asked.text()), { cookie: cookie.split(";", 1)[0] ?? "" });
      expect((await place.ask("/revoke", form)).headers.get("location")).toBe(after);
      expect((await place.manager.load(session.token)).status).toBe("new");
    }
    // An id alone revokes no session of a user: the form must name the user.
    const bob = await place.login("bob");
    expect((await place.ask(`/revoke?q=${bob.id}`)).status).toBe(404);
    expect((await place.ask("/revoke?q=x")).status).toBe(404);
    expect((await place.ask(`/revoke?q=${"A".repeat(43)}`)).headers.get("location")).toBe("./?revoked=0");
  });

  it("finds sessions by address, however it is written", async () => {
    await place.login("ada", "2001:db8::7f3a", "curl/8.14.1");
    await place.login("bob", "::ffff:192.0.2.7");
    await place.login("eve", "192.0.2.7");
    for (const text of ["2001:db8::7f3a", "2001:DB8:0:0::7F3A"]) {
      expect(linksOf(await find(text), "ada"), text).toEqual([]);
      expect(await find(text), text).toMatch(/1 live session\.[\s\S]*href="user\?id=ada"/);
    }
    expect(await find("192.0.2.7")).toMatch(/2 live sessions\./);
    expect(await find("192.0.2.8")).toContain("No live session began at this address.");
    expect(linksOf(await find("192.0.2.8"), "Search the user ids instead")).toEqual(["users?q=192.0.2.8&as=user"]);
    expect(await page("/users?q=192.0.2.8&as=user")).toContain("No such user");
  });

  it("continues a long search from where it stopped", async () => {
    const session = await place.login("ada", "192.0.2.7");
    const operations = place.store.operations ?? expect.unreachable();
    const asked: unknown[] = [];
    vi.spyOn(operations, "findByAddress").mockImplementation(async (_addresses, _limit, after) => {
      asked.push(after);
      return { sessions: [], next: after === undefined ? "12345678" : undefined, read: 1_250_000, rows: 5_100_000 };
    });
    const first = await find("192.0.2.7");
    expect(first).toMatch(/1,250,000 rows of about 5.1 million were read\.[\s\S]*So far no live session/);
    await page(`/${linksOf(first, "Continue the search")[0]}`);
    for (const after of ["%00", "x".repeat(2000)]) await page(`/sessions?q=192.0.2.7&after=${after}`);
    expect(asked).toEqual([undefined, "12345678", undefined, undefined]);
    expect(session.id).toBeDefined();
  });

  it("says where it can't search", async () => {
    const ask = openTo(new SessionManager(new MemoryStore({ cleanupInterval: 0 })));
    const text = await (await ask(new Request(`${ORIGIN}/sessions?q=192.0.2.1`))).text();
    expect(text).toContain("This store finds no sessions by id or address.");
    expect(await page("/sessions?q=ada")).toContain("This is no session id or address.");
  });
});

describe("the list of users", () => {
  it("is sorted by id, last login or sessions, with a total, and pages in both directions", async () => {
    await place.pool.query(
      `INSERT INTO sessions_users (user_id, last_login) SELECT 'user' || lpad(n::text, 3, '0'), current_timestamp - n * interval '1 minute' FROM generate_series(1, 120) n`,
    );
    await place.pool.query(
      `INSERT INTO sessions (token, data, expiry, user_id, created) SELECT 's' || n, 'x', current_timestamp + interval '1 hour', 'user' || lpad((n % 7)::text, 3, '0'), current_timestamp
       FROM generate_series(1, 40) n WHERE n % 7 > 2`,
    );
    const idsIn = (text: string): string[] => [...text.matchAll(/href="user\?id=([^"]*)"/g)].map(([, id = ""]) => id);
    const first = await page("/users?refresh=30");
    expect(first).toContain("120 users");
    const second = await page(`/${linksOf(first, "Next page")[0]}`);
    const third = await page(`/${linksOf(second, "Next page")[0]}`);
    const back = await page(`/${linksOf(third, "Previous page")[0]}`);
    expect([idsIn(back), linksOf(third, "Next page")]).toEqual([idsIn(second), []]);
    const start = await page(`/${linksOf(back, "Previous page")[0]}`);
    expect([idsIn(start), linksOf(start, "Previous page")]).toEqual([idsIn(first), []]);
    expect(linksOf(third, "First page")).toEqual(["users?refresh=30"]);

    const [byLogin = ""] = linksOf(first, "Last login");
    expect(byLogin).toBe("users?sort=lastLogin&refresh=30");
    expect(idsIn(await page(`/${byLogin}`)).slice(0, 2)).toEqual(["user001", "user002"]);
    const bySessions = await page("/users?sort=sessions&q=user");
    expect(idsIn(bySessions)).toEqual(["user003", "user004", "user005", "user006"]);
    const two = await page("/users?sort=lastLogin&page=2");
    expect([idsIn(two)[0], linksOf(two, "Previous page")]).toEqual(["user051", ["users?sort=lastLogin"]]);
    for (const wrong of ["sort=x", "sort=sessions&page=-1", "sort=sessions&page=9e9", "sort=lastLogin&after=%00"]) {
      await page(`/users?${wrong}`);
    }
  });
});

describe("the choice of refresh", () => {
  it("is a header of the page that was asked for, without the message of the form before", async () => {
    const headerOf = async (path: string): Promise<string | null> => (await place.ask(path)).headers.get("refresh");
    expect(await headerOf("/?range=day&refresh=30&revoked=2&more=1")).toBe("30; url=./?range=day&refresh=30");
    expect(await headerOf("/user?id=a%3Bb&refresh=5")).toBe("5; url=user?id=a%3Bb&refresh=5");
    for (const path of ["/", "/?refresh=1", "/?refresh=", "/revoke?user=ada&refresh=5", "/nowhere?refresh=5"]) {
      expect(await headerOf(path), path).toBeNull();
    }
  });
});

describe("the header", () => {
  it("names the database and its host, and survives that nobody knows them", async () => {
    const url = new URL(place.url);
    expect(await page("/")).toContain(`>${url.pathname.slice(1)} on ${url.hostname}<`);
    const operations = place.store.operations ?? expect.unreachable();
    vi.spyOn(operations, "place").mockRejectedValue(new Error("secret"));
    const text = await page("/users");
    expect(text).not.toContain("secret");
    expect(text).toMatch(/as of\s+<time/);
  });
});

describe("describeUser", () => {
  const names = new Map([
    ["ada", { name: "Ada <Lovelace>", href: "/users/ada" }],
    ["bob", { name: "Bob", href: "https://crm.example/bob?a=1&b=2" }],
  ]);

  it("is asked once for a page, sync or async, and its names are shown with the ids", async () => {
    for (const id of ["ada", "bob", "constructor"]) await place.login(id, "192.0.2.1");
    const ids: string[][] = [];
    const sync = (asked: string[]) => {
      ids.push(asked);
      return names;
    };
    const list = await page("/users", { describeUser: sync });
    expect(ids).toEqual([["ada", "bob", "constructor"]]);
    expect(list).toMatch(
      /<bdi>Ada &lt;Lovelace&gt;<\/bdi>[\s\S]*<bdi>ada<\/bdi>[\s\S]*href="\/users\/ada" rel="noreferrer"/,
    );
    expect(list).toContain('href="https://crm.example/bob?a=1&amp;b=2"');
    const object = Object.fromEntries(names);
    const own = await page("/user?id=ada", { describeUser: async () => object });
    expect(own).toContain("Sessions of <bdi>Ada &lt;Lovelace&gt;</bdi>");
    expect(await page("/users", { describeUser: () => object })).toContain("<bdi>constructor</bdi>");
    const [link = ""] = linksOf(own, "Revoke all sessions");
    expect(await page(`/${link}`, { describeUser: sync })).toContain(
      "Revoke all sessions of <bdi>Ada &lt;Lovelace&gt;",
    );
    await page("/sessions?q=192.0.2.1", { describeUser: sync });
    expect(ids.at(-1)?.toSorted()).toEqual(["ada", "bob", "constructor"]);
    await page("/users?q=zzz", { describeUser: () => expect.unreachable() });
  });

  it.each(["javascript:alert(1)", " java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "http://[", "", 7])(
    "makes no link of %j",
    async (href) => {
      await place.login("ada");
      const describeUser = () => ({ ada: { name: "Ada", href: href as string } });
      expect(await page("/users", { describeUser })).not.toContain("Profile");
    },
  );

  it("breaks no page when it fails, is late, or gives something else", async () => {
    const logged = vi.spyOn(console, "error").mockImplementation(() => {});
    await place.login("ada");
    const failing: DashboardOptions["describeUser"][] = [
      () => expect.unreachable("secret"),
      () => Promise.reject(new Error("secret")),
    ];
    for (const describeUser of failing) {
      const text = await page("/users", { describeUser });
      expect(text).toContain("<bdi>ada</bdi>");
      expect(text).not.toContain("secret");
    }
    expect(logged).toHaveBeenCalledTimes(2);
    for (const answer of [
      undefined,
      null,
      "x",
      [],
      { ada: 7 },
      { ada: { name: 7 } },
      { ada: { name: "x".repeat(500) } },
    ]) {
      expect(await page("/users", { describeUser: () => answer as never })).not.toContain("x".repeat(100));
    }
    let begun = (): void => {};
    const running = new Promise<void>((resolve) => (begun = resolve));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const late = page("/user?id=ada", {
        describeUser: () => {
          begun();
          return new Promise(() => {});
        },
      });
      await running;
      await vi.advanceTimersByTimeAsync(2000);
      vi.useRealTimers();
      expect(await late).toContain("<bdi>ada</bdi>");
    } finally {
      vi.useRealTimers();
    }
    expect(logged).toHaveBeenCalledTimes(3);
  });
});
