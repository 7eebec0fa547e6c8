import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { dashboard } from "../../src/dashboard.ts";
import { fetchHandler } from "../../src/fetch.ts";
import { MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { serving } from "../support/serve.ts";
import { fieldsOf, linksOf, openPlace, openTo, ORIGIN, type Place, post } from "./support.ts";

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
beforeEach(async () => {
  await place.pool.query("TRUNCATE sessions, sessions_users");
});
afterAll(() => place.drop());

/** What a browser knows after a page that asks for a confirmation. */
interface Asked {
  fields: Record<string, string>;
  headers: Record<string, string>;
}

/** Follows a link of a user's page to the page that asks. */
async function asked(link: string, at = 0): Promise<Asked> {
  const list = await (await place.ask("/user?id=ada")).text();
  const response = await place.ask(`/${linksOf(list, link)[at]}`);
  expect(response.status).toBe(200);
  const [cookie = ""] = response.headers.getSetCookie();
  expect(cookie).toMatch(/^pgstore_dashboard=[\w-]{43}; HttpOnly; SameSite=Strict$/);
  return { fields: fieldsOf(await response.text()), headers: { cookie: cookie.split(";", 1)[0] ?? "" } };
}

/** Three sessions, the newest first. */
async function three(): Promise<[Session, Session, Session]> {
  const sessions = [];
  for (let n = 0; n < 3; n++) sessions.push(await place.login("ada"));
  const order = (await place.manager.listByUser("ada")).map(({ id }) => id);
  return sessions.toSorted((a, b) => order.indexOf(a.id ?? "") - order.indexOf(b.id ?? "")) as [
    Session,
    Session,
    Session,
  ];
}

async function messageOf(response: Response): Promise<string> {
  expect(response.status).toBe(303);
  const location = response.headers.get("location") ?? "";
  const text = await (await place.ask(`/${location}`)).text();
  return /<p class="flash" role="status">([^<]*)</.exec(text)?.[1] ?? "";
}

describe("ending sessions", () => {
  it("ends one, after it has been asked for", async () => {
    const sessions = await three();
    const { fields, headers } = await asked("Revoke", 1);
    expect(await place.alive(...sessions)).toEqual([true, true, true]);
    expect(await messageOf(await place.ask("/revoke", post(fields, headers)))).toBe("1 session revoked.");
    expect(await place.alive(...sessions)).toEqual([true, false, true]);
    expect(await messageOf(await place.ask("/revoke", post(fields, headers)))).toBe("Nothing was left to revoke.");
  });

  it("ends all but one", async () => {
    const sessions = await three();
    const { fields, headers } = await asked("Revoke others", 2);
    expect(await messageOf(await place.ask("/revoke", post(fields, headers)))).toBe("2 sessions revoked.");
    expect(await place.alive(...sessions)).toEqual([false, false, true]);
  });

  it("ends all, and nobody else's", async () => {
    const sessions = await three();
    const bob = await place.login("bob");
    const { fields, headers } = await asked("Revoke all sessions");
    expect(await messageOf(await place.ask("/revoke", post(fields, headers)))).toBe("3 sessions revoked.");
    expect(await place.alive(...sessions, bob)).toEqual([false, false, false, true]);
  });

  it("does not end all where the one to be kept has ended meanwhile", async () => {
    const sessions = await three();
    const { fields, headers } = await asked("Revoke others", 0);
    await place.manager.destroyById(sessions[0].id ?? "");
    expect(await messageOf(await place.ask("/revoke", post(fields, headers)))).toBe("Nothing was left to revoke.");
    expect(await place.alive(...sessions)).toEqual([false, true, true]);
  });

  it("ends no session of another user than the page has said", async () => {
    const [ada, bob] = [await place.login("ada"), await place.login("bob")];
    const { fields, headers } = await asked("Revoke");
    const forged = { ...fields, session: bob.id ?? "" };
    expect(await messageOf(await place.ask("/revoke", post(forged, headers)))).toBe("Nothing was left to revoke.");
    expect(await place.alive(ada, bob)).toEqual([true, true]);
  });

  it("says how many would end, and warns who would end their own", async () => {
    const sessions = await three();
    const ask = async (path: string): Promise<string> =>
      (await place.ask(path, {}, { currentSession: () => sessions[0].id })).text();
    const list = await ask("/user?id=ada");
    expect(await ask(`/${linksOf(list, "Revoke all but this one")[0]}`)).toMatch(
      /^(?![\s\S]*warning)[\s\S]*Sessions to revoke: 2\./,
    );
    expect(await ask("/revoke?user=ada")).toMatch(/warning[\s\S]*Sessions to revoke: 3\./);
    expect(await ask(`/${linksOf(list, "Revoke")[0]}`)).toContain('class="warning"');
    expect(await ask(`/${linksOf(list, "Revoke")[1]}`)).not.toContain('class="warning"');
  });

  it("does nothing by GET or HEAD", async () => {
    const sessions = await three();
    const { fields, headers } = await asked("Revoke all sessions");
    const query = new URLSearchParams(fields).toString();
    for (const method of ["GET", "HEAD"]) await place.ask(`/revoke?${query}`, { method, headers });
    expect(await place.alive(...sessions)).toEqual([true, true, true]);
  });
});

describe("a forged form", () => {
  const refused: [what: string, change: (asked: Asked) => RequestInit][] = [
    ["of another site", ({ fields, headers }) => post(fields, { ...headers, "sec-fetch-site": "cross-site" })],
    [
      "of another host of the same site",
      ({ fields, headers }) => post(fields, { ...headers, "sec-fetch-site": "same-site" }),
    ],
    ["that nobody's page has sent", ({ fields, headers }) => post(fields, { ...headers, "sec-fetch-site": "none" })],
    [
      "with another origin",
      ({ fields, headers }) => without(post(fields, { ...headers, origin: "http://evil.test" }), "sec-fetch-site"),
    ],
    [
      "with no origin that could be read",
      ({ fields, headers }) => without(post(fields, { ...headers, origin: "null" }), "sec-fetch-site"),
    ],
    [
      "that does not say where it comes from",
      ({ fields, headers }) => without(post(fields, headers), "sec-fetch-site", "origin"),
    ],
    ["without its cookie", ({ fields }) => post(fields)],
    ["with another cookie", ({ fields }) => post(fields, { cookie: `pgstore_dashboard=${"A".repeat(43)}` })],
    ["without its token", ({ fields, headers }) => post({ ...fields, _csrf: "" }, headers)],
    ["with a token that was made up", ({ fields, headers }) => post({ ...fields, _csrf: "A".repeat(86) }, headers)],
  ];
  for (const [what, change] of refused) {
    it(`ends nothing: ${what}`, async () => {
      const sessions = await three();
      const response = await place.ask("/revoke", change(await asked("Revoke all sessions")));
      expect(response.status).toBe(403);
      expect(await response.text()).toContain("Nothing was revoked");
      expect(await place.alive(...sessions)).toEqual([true, true, true]);
    });
  }

  it("is told by the origin where the browser sends nothing newer", async () => {
    await three();
    const { fields, headers } = await asked("Revoke all sessions");
    expect((await place.ask("/revoke", without(post(fields, headers), "sec-fetch-site"))).status).toBe(303);
  });

  it("is refused before it is read, when it is too large, and when it makes no sense", async () => {
    const { fields, headers } = await askedForAll();
    const large = await place.ask("/revoke", post({ ...fields, more: "x".repeat(20_000) }, headers));
    expect([large.status, large.headers.get("connection")]).toEqual([413, "close"]);
    expect((await place.ask("/revoke", post({ ...fields, user: "" }, headers))).status).toBe(404);
    expect((await place.ask("/revoke", post({ ...fields, session: "\0" }, headers))).status).toBe(404);
  });

  it("is no form where it has no body, where somebody has read it, and where the host is not the one of its origin", async () => {
    const { fields, headers } = await askedForAll();
    const { headers: sent } = post({}, headers);
    expect((await place.ask("/revoke", { method: "POST", headers: sent ?? {} })).status).toBe(403);
    const read = new Request(`${ORIGIN}/revoke`, post(fields, headers));
    await read.text();
    expect((await openTo(place.manager)(read)).status).toBe(413);
    const elsewhere = without(post(fields, { ...headers, host: "other.test" }), "sec-fetch-site");
    expect((await place.ask("/revoke", elsewhere)).status).toBe(403);
    const proxied = without(post(fields, { ...headers, host: "app.test:80" }), "sec-fetch-site");
    expect((await place.ask("/revoke", proxied)).status).toBe(303);
  });

  async function askedForAll(): Promise<Asked> {
    await three();
    return asked("Revoke all sessions");
  }

  it("is bound to the viewer's session where the manager knows it, and needs no cookie of its own then", async () => {
    for (const lazy of [false, true]) {
      const manager = new SessionManager(place.store, { lazy }) as SessionManager;
      const sessions = openTo(manager);
      const app = fetchHandler(manager, (request) => sessions(request));
      const [viewer, other] = [await place.login("admin"), await place.login("admin")];
      const target = await place.login("ada");
      const cookieOf = ({ token }: Session): Record<string, string> => ({ cookie: `session=${token}` });
      const request = (path: string, init: RequestInit = {}) => app(new Request(ORIGIN + path, init));
      const page = await request("/revoke?user=ada", { headers: cookieOf(viewer) });
      expect(page.headers.getSetCookie()).toEqual([]);
      const fields = fieldsOf(await page.text());
      expect((await request("/revoke", post(fields, cookieOf(other)))).status).toBe(403);
      expect((await request("/revoke", post(fields))).status).toBe(403);
      expect(await place.alive(target)).toEqual([true]);
      expect((await request("/revoke", post(fields, cookieOf(viewer)))).status).toBe(303);
      expect(await place.alive(target, viewer, other)).toEqual([false, true, true]);
      const own = await request("/user?id=admin", { headers: cookieOf(viewer) });
      expect(await own.text()).toContain("Revoke all but this one");
      await manager.destroyByUser("admin");
    }
  });

  it("may go to another process than the page came from", async () => {
    const sessions = await three();
    const { fields, headers } = await asked("Revoke all sessions");
    const elsewhere = openTo(new SessionManager(place.store));
    expect((await elsewhere(new Request(`${ORIGIN}/revoke`, post(fields, headers)))).status).toBe(303);
    expect(await place.alive(...sessions)).toEqual([false, false, false]);
  });
});

function without(init: RequestInit, ...names: string[]): RequestInit {
  const headers = new Headers(init.headers);
  for (const name of names) headers.delete(name);
  return { ...init, headers };
}

describe("ending every session", () => {
  const over = ["Fetch", "node:http"] as const;
  type Ask = (path: string, init?: RequestInit) => Promise<Response>;

  /** Asks the same dashboard either way, with its own origin. */
  async function reached(
    host: (typeof over)[number],
    test: (ask: Ask, origin: string) => Promise<void>,
  ): Promise<void> {
    if (host === "Fetch") return test(place.ask, ORIGIN);
    const sessions = dashboard(place.manager, { authorize: () => true });
    await serving(
      (request, response) => sessions(request, response),
      ({ url }) => test((path, init) => fetch(url + path, { redirect: "manual", ...init }), url),
    );
  }

  /** From the overview to the page that asks. */
  async function askedFor(ask: Ask): Promise<Asked> {
    const [link = ""] = linksOf(await (await ask("/")).text(), "Revoke every session");
    const response = await ask(`/${link}`);
    const text = await response.text();
    expect(text).toContain("Revoke every session of every user?");
    expect(linksOf(text, "Cancel")).toEqual(["./"]);
    const [cookie = ""] = response.headers.getSetCookie();
    return { fields: fieldsOf(text), headers: { cookie: cookie.split(";", 1)[0] ?? "" } };
  }

  it.each(over)("asks first, ends those of everybody, tells who watches, and says how many: %s", async (host) => {
    const [, , ada] = await three();
    const bob = await place.login("bob");
    const heard: string[] = [];
    place.manager.watch(bob, () => heard.push("bob"));
    await reached(host, async (ask, origin) => {
      const { fields, headers } = await askedFor(ask);
      expect(await place.alive(ada, bob)).toEqual([true, true]);
      const done = await ask("/revoke", post(fields, { ...headers, origin }));
      expect([done.status, done.headers.get("location"), heard]).toEqual([303, "./?revoked=4", ["bob"]]);
      expect(await place.alive(ada, bob)).toEqual([false, false]);
      expect(await (await ask("/?revoked=4")).text()).toContain(
        '<p class="flash" role="status">4 sessions revoked.</p>',
      );
      const again = await ask("/revoke", post(fields, { ...headers, origin }));
      expect(again.headers.get("location")).toBe("./?revoked=0");
    });
  });

  it.each(over)("ends nothing for a form of another page: %s", async (host) => {
    const ada = await place.login("ada");
    await reached(host, async (ask, origin) => {
      const { fields, headers } = await askedFor(ask);
      for (const init of [
        post({ everyone: "1" }, { ...headers, origin }),
        post(fields, { origin }),
        post(fields, { ...headers, origin, "sec-fetch-site": "cross-site" }),
        without(post(fields, { ...headers, origin: "http://evil.test" }), "sec-fetch-site"),
      ]) {
        expect((await ask("/revoke", init)).status).toBe(403);
      }
      // One that names a user as well is about this user.
      expect(
        (await ask("/revoke", post({ ...fields, user: "ada" }, { ...headers, origin }))).headers.get("location"),
      ).toBe("user?id=ada&revoked=1");
    });
    expect(await place.alive(ada)).toEqual([false]);
  });

  it("works where the store knows no users", async () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }));
    const session = await manager.load();
    await session.login("ada");
    await manager.commit(session);
    const known = (["find", "save", "delete", "all"] as const).map((name) => [
      name,
      manager.store[name]?.bind(manager.store),
    ]);
    const sessions = openTo(new SessionManager(Object.fromEntries(known) as never));
    const ask: Ask = (path, init) => sessions(new Request(ORIGIN + path, init));
    const { fields, headers } = await askedFor(ask);
    expect((await ask("/revoke", post(fields, headers))).headers.get("location")).toBe("./?revoked=1");
    expect((await manager.load(session.token)).status).toBe("new");
  });

  it("says that it goes on where a page can't wait for the last", async () => {
    const ask: Ask = (path, init) => openTo(slow)(new Request(ORIGIN + path, init));
    let begun: () => void = () => {};
    const running = new Promise<void>((resolve) => (begun = resolve));
    const slow = new SessionManager(place.store);
    slow.destroyAll = (options) => {
      options?.onProgress?.({ ended: 1000 });
      begun();
      return new Promise(() => {});
    };
    const { fields, headers } = await askedFor(ask);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const answer = ask("/revoke", post(fields, headers));
      await running;
      await vi.advanceTimersByTimeAsync(20_000);
      expect((await answer).headers.get("location")).toBe("./?revoked=1000&more=1");
    } finally {
      vi.useRealTimers();
    }
    expect(await (await ask("/?revoked=1000&more=1")).text()).toContain(
      "1,000 sessions revoked so far. The others are still being revoked.",
    );
  });
});
