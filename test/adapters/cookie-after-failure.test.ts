import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { fetchHandler } from "../../src/fetch.ts";
import honoSession from "../../src/hono.ts";
import { type Session, SessionManager, type SessionOptions, StoreUnavailableError } from "../../src/index.ts";
import { GatedStore } from "../support/gated-store.ts";

type Data = Record<string, unknown>;
type Manager = SessionManager<Data>;
type Work = (sessions: Session<Data>[]) => Response | Promise<Response>;

const down = new StoreUnavailableError("expected by the test");
const URL_ = "https://example.org/";

function managerOf(name: string, options: SessionOptions = {}) {
  const store = new GatedStore();
  const manager = new SessionManager<Data>(store, { cookie: { name }, onError: () => undefined, ...options });
  return { store, manager };
}

/** An application with sessions of these managers, the first one's outermost. */
const ADAPTERS: Record<string, (managers: Manager[], work: Work) => (request: Request) => Promise<Response>> = {
  fetch: (managers, work) =>
    managers.reduceRight<(request: Request) => Promise<Response>>(
      (inner, manager) => fetchHandler(manager, (request) => inner(request)),
      async (request) => work(managers.map((manager) => manager.sessionOf(request))),
    ),
  Hono: (managers, work) => {
    const app = new Hono();
    for (const [index, manager] of managers.entries()) app.use(honoSession(manager, { property: `s${index}` }));
    app.get("/", (context) => work(managers.map((manager) => manager.sessionOf(context))));
    app.onError((_error, context) => context.text("sorry", 500));
    return async (request) => app.request(request);
  },
  "Hono with answers of its own": (managers, work) => {
    const app = new Hono();
    for (const [index, manager] of managers.entries()) app.use(honoSession(manager, { property: `s${index}` }));
    app.get("/", (context) => work(managers.map((manager) => manager.sessionOf(context))));
    app.onError(() => new Response("sorry", { status: 500, headers: { Vary: "Accept" } }));
    return async (request) => app.request(request);
  },
};

/** Who the cookies of a response are, by their name. */
async function usersIn(response: Response, managers: Manager[]): Promise<Record<string, string | undefined>> {
  const users: Record<string, string | undefined> = {};
  for (const cookie of response.headers.getSetCookie()) {
    const [name = "", token] = cookie.split(";", 1)[0]?.split("=") ?? [];
    expect(name in users).toBe(false);
    const manager = managers.find(({ options }) => options.cookie.name === name);
    users[name] = (await manager?.load(token))?.userId;
  }
  return users;
}

const cached = { "Cache-Control": "public, max-age=60", "CDN-Cache-Control": "max-age=60", Expires: "0", ETag: '"1"' };

async function begun(manager: Manager): Promise<string> {
  const session = await manager.load();
  session.set("basket", 1);
  await session.save();
  return `${manager.options.cookie.name}=${session.token}`;
}

for (const [name, adapter] of Object.entries(ADAPTERS)) {
  describe(`what was stored is told, whatever fails afterwards: ${name}`, () => {
    const ask = (handler: (request: Request) => Promise<Response>, cookie: string): Promise<Response> =>
      handler(new Request(URL_, { headers: { cookie } }));

    it("a login before a commit that fails", async () => {
      const { store, manager } = managerOf("main");
      const cookie = await begun(manager);
      const handler = adapter([manager], async ([session]) => {
        await session?.login("ada");
        session?.set("key", 1);
        store.failure = down;
        return new Response("in", { headers: { ...cached, "Set-Cookie": "other=1" } });
      });
      const response = await ask(handler, cookie);
      expect(response.status).toBe(500);
      expect(response.headers.get("Cache-Control")).toBe("private, no-store");
      for (const gone of ["CDN-Cache-Control", "Expires", "ETag"]) expect(response.headers.get(gone)).toBe(null);
      expect(response.headers.get("Vary")).toMatch(/\bCookie$/);
      expect(await usersIn(response, [manager])).toEqual({ main: "ada" });
    });

    it("a login by one manager, when another one's commit fails", async () => {
      for (const failing of [0, 1]) {
        const [one, two] = [managerOf("one"), managerOf("two")];
        const managers = [one.manager, two.manager];
        const handler = adapter(managers, async (sessions) => {
          await Promise.all(sessions.map((session) => session.login("ada")));
          sessions[failing]?.set("key", 1);
          (failing === 0 ? one : two).store.failure = down;
          return new Response("in", { headers: cached });
        });
        const cookies = [await begun(one.manager), await begun(two.manager)].join("; ");
        const response = await ask(handler, cookies);
        expect([response.status, response.headers.get("ETag")]).toEqual([500, null]);
        expect(await usersIn(response, managers)).toEqual({ one: "ada", two: "ada" });
      }
    });

    it("both logins, when both commits fail", async () => {
      const [one, two] = [managerOf("one"), managerOf("two")];
      const managers = [one.manager, two.manager];
      const handler = adapter(managers, async (sessions) => {
        for (const session of sessions) {
          await session.login("ada");
          session.set("key", 1);
        }
        one.store.failure = two.store.failure = down;
        return new Response("in");
      });
      const response = await ask(handler, [await begun(one.manager), await begun(two.manager)].join("; "));
      expect(response.status).toBe(500);
      expect(await usersIn(response, managers)).toEqual({ one: "ada", two: "ada" });
    });

    it("nothing, when nothing was", async () => {
      const { store, manager } = managerOf("main");
      const handler = adapter([manager], ([session]) => {
        session?.set("key", 1);
        store.failure = down;
        return new Response("in", { headers: cached });
      });
      const response = await ask(handler, "");
      expect([response.status, response.headers.getSetCookie()]).toEqual([500, []]);
      expect(response.headers.get("Vary")).toMatch(/\bCookie$/);
      expect(response.headers.get("Cache-Control")).toBe(null);
    });

    it("and that a failed load depends on the cookie", async () => {
      const { store, manager } = managerOf("main");
      store.lookUp = () => Promise.reject(down);
      const handler = adapter([manager], () => new Response("secret"));
      const response = await ask(handler, `main=${"x".repeat(43)}`);
      expect([response.status, response.headers.get("Vary")]).toEqual([500, expect.stringMatching(/\bCookie$/)]);
    });
  });
}

describe("pgstore/hono", () => {
  it("answers a failure that is no Error", async () => {
    const { store, manager } = managerOf("main");
    store.failure = "no error" as never;
    const app = new Hono().use(honoSession(manager)).get("/", (context) => {
      context.var.session.set("key", 1);
      return context.text("secret");
    });
    const causes: unknown[] = [];
    app.onError((error, context) => {
      causes.push(error.cause);
      return context.text("sorry", 500);
    });
    expect([(await app.request("/")).status, causes]).toEqual([500, ["no error"]]);
  });
});

describe("fetchHandler", () => {
  /** Answers in place of a handler that has logged in. */
  const answers: Record<string, [answer: () => unknown, status: number]> = {
    "a thrown text": [() => fail("text"), 500],
    "a thrown undefined": [() => fail(undefined), 500],
    "what throws when it is looked at": [
      () => fail(new Proxy({}, { get: () => fail(new Error("expected by the test")) })),
      500,
    ],
    "no Response": [() => null, 500],
    "a Response whose body was read": [() => readResponse(), 500],
    "a Response that can't be sent": [() => ({ status: 999, headers: new Headers() }), 500],
    "Response.error()": [() => Response.error(), 500],
    "a thrown Response": [() => fail(new Response("thrown", { status: 303 })), 303],
    "a redirect of Next.js": [() => fail({ digest: "NEXT_REDIRECT;replace;/a b;307;" }), 307],
    "a promise that rejects": [() => Promise.reject(new Error("expected by the test")), 500],
  };
  for (const [name, [answer, status]] of Object.entries(answers)) {
    it(`answers, and tells of the login: ${name}`, async () => {
      const { manager } = managerOf("main");
      const handler = fetchHandler(manager, async (_request, session) => {
        await session.login("ada");
        return (await answer()) as Response;
      });
      const response = await handler(new Request(URL_));
      expect(response.status).toBe(status);
      expect(response.headers.get("Vary")).toBe("Cookie");
      expect(await usersIn(response, [manager])).toEqual({ main: "ada" });
    });
  }

  it("answers plainly when what onError answers can't be sent", async () => {
    for (const answer of [() => readResponse(), () => Response.error(), () => fail(new Error("expected"))]) {
      const { manager, store } = managerOf("main", { onError: answer });
      const handler = fetchHandler(manager, async (_request, session) => {
        await session.login("ada");
        await session.save();
        store.failure = down;
        throw new Error("expected by the test");
      });
      const response = await handler(new Request(URL_));
      expect([response.status, await response.text()]).toEqual([500, "Internal Server Error\n"]);
      expect(await usersIn(response, [manager])).toEqual({ main: "ada" });
    }
  });

  it("tells of a login by an inner manager whose answer an outer handler drops", async () => {
    const [outer, inner] = [managerOf("outer"), managerOf("inner")];
    const login = fetchHandler(inner.manager, async (_request, session) => {
      await session.login("ada");
      return new Response("in");
    });
    const handler = fetchHandler(outer.manager, async (request) => {
      await login(request);
      throw new Error("expected by the test");
    });
    const response = await handler(new Request(URL_));
    expect([response.status, await usersIn(response, [inner.manager])]).toEqual([500, { inner: "ada" }]);
  });

  it("wrapped twice with one manager commits at the end of the outer one, and the inner one answers too", async () => {
    const { manager } = managerOf("main");
    const inner = fetchHandler(manager, () => fail(new Error("expected by the test")));
    const handler = fetchHandler(manager, async (request, session) => {
      const { status } = await inner(request);
      session.set("after", status);
      return Response.json(session.get("after"));
    });
    const response = await handler(new Request(URL_));
    expect([response.status, await response.text(), response.headers.getSetCookie().length]).toEqual([200, "500", 1]);
  });

  it("leaves an upgrade the object that the runtime knows", async () => {
    const { manager } = managerOf("main");
    const upgrade = { status: 101, headers: new Headers() } as Response;
    const handler = fetchHandler(manager, async (_request, session) => {
      await session.login("ada");
      return upgrade;
    });
    const response = await handler(new Request(URL_));
    expect(response).toBe(upgrade);
    expect(await usersIn(response, [manager])).toEqual({ main: "ada" });
  });

  it("encodes where Next.js redirects to as a browser would", async () => {
    const { manager } = managerOf("main");
    const locationOf = async (target: string): Promise<string | null> => {
      const handler = fetchHandler(manager, () => fail({ digest: `NEXT_REDIRECT;replace;${target};307;` }));
      const response = await handler(new Request(URL_));
      return response.status === 307 ? response.headers.get("Location") : `${response.status}`;
    };
    const path = "/%E6%97%A5%E6%9C%AC";
    expect(await locationOf("/日本")).toBe(path);
    expect(await locationOf("/日本?q=é%20#ü")).toBe(`${path}?q=%C3%A9%20#%C3%BC`);
    expect(await locationOf("https://münchen.example/日本")).toBe(`https://xn--mnchen-3ya.example${path}`);
    expect(await locationOf("//münchen.example/日本")).toBe(`//xn--mnchen-3ya.example${path}`);
    expect(await locationOf("/a\r\nSet-Cookie: session=x")).toBe("/a%0D%0ASet-Cookie:%20session=x");
    expect(await locationOf("/\ud800")).toBe("/%EF%BF%BD");
    expect(await locationOf("/kept%20as?it=is")).toBe("/kept%20as?it=is");
  });
});

function fail(thrown: unknown): never {
  throw thrown;
}

async function readResponse(): Promise<Response> {
  const response = new Response("read already");
  await response.text();
  return response;
}
