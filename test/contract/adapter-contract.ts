import assert from "node:assert/strict";
import {
  type LazySession,
  MemoryStore,
  type Session,
  SessionManager,
  type SessionOptions,
  StoreUnavailableError,
} from "../../src/index.ts";
import { csrfProtection } from "../../src/csrf.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { GatedStore } from "../support/gated-store.ts";

type AnySession = Session<Record<string, unknown>>;
type AnyManager = SessionManager<Record<string, unknown>>;

/** What a route answers, in no framework's words. */
export interface Answer {
  status?: number;
  headers?: Record<string, string | string[]>;
  /** Chunks are streamed. */
  body?: string | string[];
}

/** An application for the adapter under test. */
export interface App {
  /** The first one's session is under `session`, a second one's under `second`. */
  managers: AnyManager[];
  routes: Record<string, (session: AnySession, second: AnySession) => Answer | Promise<Answer>>;
}

/** An adapter under test: serves an application on loopback. A route that throws is the framework's to answer, with a 500. */
export interface AdapterHost {
  serve(app: App): Promise<{ url: string; close(): Promise<void> }>;
}

/** Answers a request. @param found - what the adapter has put where the framework's users look for it */
export async function respond(app: App, path: string, request: object, found: unknown): Promise<Answer> {
  const [first, second] = app.managers;
  const session = first?.sessionOf(request);
  if (first?.options.lazy !== true) assert.equal(found, session);
  const route = app.routes[path];
  if (route === undefined) return { status: 404 };
  return route(session as AnySession, second?.sessionOf(request) as AnySession);
}

/** The chunks of an answer's body, one after the other. */
export async function* chunksOf({ body = "" }: Answer): AsyncGenerator<Uint8Array> {
  for (const chunk of [body].flat()) {
    await new Promise((resolve) => setTimeout(resolve));
    yield new TextEncoder().encode(chunk);
  }
}

const routes: App["routes"] = {
  "/get": (session) => ({ body: String(session.get("key")) }),
  "/untouched": () => ({ body: "untouched" }),
  "/put": (session) => {
    session.set("key", "value");
    return { body: "put" };
  },
  "/count": (session) => ({ body: String(session.update("n", (n) => (typeof n === "number" ? n : 0) + 1)) }),
  "/login": async (session) => {
    await session.login("ada");
    return { status: 303, headers: { Location: "/get" } };
  },
  "/logout": async (session) => {
    await session.logout();
    return { body: "bye" };
  },
  "/user": (session) => ({ body: String(session.userId) }),
  "/stream": (session) => {
    session.set("key", "streamed");
    return { body: ["one ", "two ", "three"] };
  },
  "/empty": (session) => {
    session.set("key", "empty");
    return { status: 204 };
  },
  "/headers": (session) => {
    session.set("key", "value");
    return {
      headers: { "Set-Cookie": ["a=1; Path=/", "b=2; Path=/"], "Cache-Control": "private, max-age=60", Vary: "Accept" },
      body: "headers",
    };
  },
  "/throw": (session) => {
    session.set("key", "thrown");
    throw new Error("secret of the test");
  },
};

interface Client {
  store: GatedStore;
  manager: AnyManager;
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Response>;
}

async function withApp(
  host: AdapterHost,
  options: SessionOptions<boolean>,
  work: (client: Client) => Promise<void>,
  more: Partial<App> = {},
): Promise<void> {
  const store = new GatedStore();
  const manager = new SessionManager(store, options) as unknown as AnyManager;
  const app: App = { managers: [manager], routes, ...more };
  if (more.managers !== undefined) app.managers = [manager, ...more.managers];
  const { url, close } = await host.serve(app);
  try {
    const get: Client["get"] = (path, headers = {}, method = "GET") =>
      fetch(url + path, { redirect: "manual", headers, method });
    await work({ store, manager, get });
  } finally {
    await close();
  }
}

/** The `name=value` of a response's Set-Cookie of a name; undefined when there is none. */
function cookieOf(response: Response, name = "session"): string | undefined {
  const ours = response.headers.getSetCookie().filter((cookie) => cookie.startsWith(`${name}=`));
  assert.ok(ours.length < 2, "more than one Set-Cookie");
  return ours[0]?.split(";")[0];
}

/** What a manager with `lazy: true` gives. */
const lazily = (session: AnySession): LazySession<Record<string, unknown>> => session as never;

async function put(client: Client): Promise<{ cookie: string }> {
  const response = await client.get("/put");
  assert.equal(await response.text(), "put");
  const cookie = cookieOf(response);
  assert.ok(cookie !== undefined);
  return { cookie };
}

/** What an application does to end a session from outside, each of another kind. */
const revokers: Record<string, (manager: AnyManager) => Promise<unknown>> = {
  destroyByUser: (manager) => manager.destroyByUser("ada"),
  destroyById: async (manager) => manager.destroyById((await manager.listByUser("ada"))[0]?.id ?? ""),
  "the limit of a user": async (manager) => {
    const session = await manager.load();
    await session.login("ada");
    await manager.commit(session);
  },
};

/** What every adapter promises. Knows no test runner, so that any runtime can run it. */
export const adapterContract: Record<string, (host: AdapterHost) => Promise<void>> = {
  "lets a revoked browser log in at once, by a form or without, and keeps what it is told": async (host) => {
    const csrf = csrfProtection();
    let token = "";
    const own: App["routes"] = {
      "/form": (session) => ({ body: csrf.token(session) }),
      "/guarded": async (session) => {
        csrf.verify(session, { method: "POST", headers: { "x-csrf-token": token } });
        await session.login("ada");
        return { body: "in" };
      },
      "/refused": (session) => {
        if (session.userId === undefined) session.set("key", "please log in");
        return { status: 303, headers: { Location: "/get" } };
      },
    };
    const options = { maxSessionsPerUser: 1 };
    for (const [way, revoke] of Object.entries(revokers)) {
      await withApp(
        host,
        options,
        async ({ manager, get }) => {
          let cookie = "";
          const go = async (path: string): Promise<string> => {
            const response = await get(path, { cookie });
            cookie = cookieOf(response) ?? cookie;
            return response.text();
          };
          const revoked = async (): Promise<void> => {
            await manager.destroyByUser("ada");
            await go("/login");
            assert.equal(await go("/user"), "ada");
            // The limit ends the oldest.
            await new Promise((resolve) => setTimeout(resolve, 2));
            await revoke(manager);
            assert.equal(await go("/user"), "undefined", way);
          };
          await revoked();
          token = await go("/form");
          assert.equal(await go("/guarded"), "in", way);
          assert.equal(await go("/user"), "ada", way);
          await revoked();
          await go("/login");
          assert.equal(await go("/user"), "ada", way);
          await revoked();
          await go("/refused");
          assert.equal(await go("/get"), "please log in", way);
        },
        { routes: { ...routes, ...own } },
      );
    }
  },
  "lets a client with two live cookies log in and log out, and leaves none of them alive": (host) =>
    withApp(host, {}, async (client) => {
      const [first, second] = [await put(client), await put(client)];
      const both = { cookie: `${first.cookie}; ${second.cookie}` };
      assert.equal(await (await client.get("/get", both)).text(), "undefined");
      // Nothing was stored, so nothing has ended.
      assert.equal(await (await client.get("/get", second)).text(), "value");
      const login = cookieOf(await client.get("/login", both)) ?? "";
      const after = { cookie: `${first.cookie}; ${login}` };
      assert.equal(await (await client.get("/user", after)).text(), "ada");
      assert.equal(await (await client.get("/get", second)).text(), "undefined");
      const third = await put(client);
      const out = await client.get("/logout", { cookie: `${third.cookie}; ${login}` });
      assert.equal(cookieOf(out), "session=");
      assert.equal(await (await client.get("/user", { cookie: login })).text(), "undefined");
      assert.equal(await (await client.get("/get", third)).text(), "undefined");
    }),

  "removes the cookie from earlier scopes, and lets the application do so": async (host) => {
    const scope = { path: "/", domain: "app.example" };
    const cookie = { ...scope, previous: [{}, { domain: "example", path: "/old" }] };
    const mine = ["session=; Max-Age=0; Path=/shop", "session=; Path=/a; Expires=Thu, 01 Jan 1970 00:00:00 GMT"];
    const replaced = [
      "session=forged; Path=/elsewhere",
      "session=forged; Path=/elsewhere; Max-Age=1",
      "session =; Domain=.APP.example; Path=/; Max-Age=0",
    ];
    const all: App["routes"] = {
      ...routes,
      "/both": (session) => {
        session.set("key", "value");
        return { headers: { "Set-Cookie": [...mine, ...replaced, "sessions=other"] } };
      },
    };
    const work = async (client: Client): Promise<void> => {
      const set = (await client.get("/both")).headers.getSetCookie();
      const gone = "session=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; HttpOnly; SameSite=Lax";
      assert.deepEqual(set.slice(0, -1), [
        ...mine,
        "sessions=other",
        gone,
        gone.replace("Path=/", "Domain=example; Path=/old"),
      ]);
      assert.match(set.at(-1) ?? "", /^session=[\w-]{43}; Domain=app\.example; Path=\/; HttpOnly; SameSite=Lax$/);
      const out = await client.get("/logout", { cookie: set.at(-1)?.split(";")[0] ?? "" });
      assert.equal(out.headers.getSetCookie().length, 3);
      assert.deepEqual((await client.get("/get")).headers.getSetCookie(), []);
    };
    await withApp(host, { cookie }, work, { routes: all });
  },

  "keeps a session over requests": (host) =>
    withApp(host, {}, async (client) => {
      const cookies = await put(client);
      const response = await client.get("/get", cookies);
      assert.equal(await response.text(), "value");
      assert.equal(response.headers.get("Vary"), "Cookie");
      assert.equal(cookieOf(response), undefined);
      assert.equal(await (await client.get("/get")).text(), "undefined");
      const head = await client.get("/get", cookies, "HEAD");
      assert.deepEqual([head.status, head.headers.get("Vary"), await head.text()], [200, "Cookie", ""]);
    }),
  "does nothing for nothing": (host) =>
    withApp(host, {}, async ({ store, get }) => {
      const response = await get("/untouched", { cookie: "session=; session=malformed; other=1" });
      assert.equal(await response.text(), "untouched");
      assert.deepEqual([store.finds, store.writes, cookieOf(response)], [0, 0, undefined]);
      assert.equal(response.headers.get("Cache-Control"), null);
      assert.equal((await get("/nowhere")).status, 404);
    }),
  "records where a login came from, where that is asked for": async (host) => {
    const recorded = async (options: SessionOptions) => {
      let entry: { ip: string | undefined; userAgent: string | undefined } | undefined;
      await withApp(host, options, async ({ manager, get }) => {
        await get("/login", { "User-Agent": "browser/1", "X-Forwarded-For": "203.0.113.9" });
        [entry] = await manager.listByUser("ada");
      });
      assert.ok(entry !== undefined);
      return [entry.ip, entry.userAgent];
    };
    const both = { recordIp: true, recordUserAgent: true };
    assert.deepEqual(await recorded({}), [undefined, undefined]);
    assert.deepEqual(await recorded({ ...both, trustProxy: true }), ["203.0.113.9", "browser/1"]);
    assert.deepEqual(await recorded(both), ["127.0.0.1", "browser/1"]);
  },
  "does not adopt a token that a client made up": (host) =>
    withApp(host, {}, async ({ get }) => {
      const made = `session=${"x".repeat(43)}`;
      const response = await get("/put", { cookie: made });
      assert.notEqual(cookieOf(response), made);
      assert.equal(await (await get("/get", { cookie: made })).text(), "undefined");
    }),
  "counts every one of parallel requests": (host) =>
    withApp(host, {}, async (client) => {
      const cookies = await put(client);
      await Promise.all(Array.from({ length: 20 }, async () => (await client.get("/count", cookies)).text()));
      assert.equal(await (await client.get("/count", cookies)).text(), "21");
    }),
  "keeps the application's headers, several cookies among them": (host) =>
    withApp(host, {}, async ({ get }) => {
      const { headers } = await get("/headers");
      const names = headers.getSetCookie().map((cookie) => cookie.split("=")[0]);
      assert.deepEqual(names, ["a", "b", "session"]);
      assert.equal(headers.get("Vary"), "Accept, Cookie");
      assert.equal(headers.get("Cache-Control"), "private, no-store");
    }),
  "sends no byte before the session is stored": (host) =>
    withApp(host, {}, async ({ store, get }) => {
      const { arrived, release } = store.hold();
      let answered = false;
      const pending = get("/put").then((response) => {
        answered = true;
        return response;
      });
      await arrived;
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(answered, false);
      release();
      assert.ok(cookieOf(await pending) !== undefined);
    }),
  "lets no redirect overtake the login": (host) =>
    withApp(host, {}, async (client) => {
      const anonymous = await put(client);
      const response = await client.get("/login", anonymous);
      assert.deepEqual([response.status, response.headers.get("Location")], [303, "/get"]);
      const cookie = cookieOf(response) ?? "";
      assert.notEqual(cookie, anonymous.cookie);
      assert.equal(await (await client.get("/user", { cookie })).text(), "ada");
      assert.equal(await (await client.get("/get", { cookie })).text(), "value");
      assert.equal(await (await client.get("/get", anonymous)).text(), "undefined");
    }),
  "clears the cookie of a session that ends": (host) =>
    withApp(host, {}, async (client) => {
      const cookies = await put(client);
      const response = await client.get("/logout", cookies);
      assert.match(response.headers.getSetCookie().join("\n"), /^session=; Max-Age=0;/);
      assert.equal(response.headers.get("Cache-Control"), "private, no-store");
      assert.equal(await (await client.get("/get", cookies)).text(), "undefined");
    }),
  "drops what a late request writes to an ended session, without a cookie": (host) =>
    withApp(host, {}, async (client) => {
      const cookies = await put(client);
      const { arrived, release } = client.store.hold();
      const late = client.get("/count", cookies);
      await arrived;
      // By another process: past the gate.
      await MemoryStore.prototype.delete.call(client.store, idOf(cookies.cookie.split("=")[1] ?? ""));
      release();
      assert.deepEqual((await late).headers.getSetCookie(), []);
      assert.equal(await (await client.get("/get", cookies)).text(), "undefined");
    }),
  "streams, with the cookie before the first byte": (host) =>
    withApp(host, {}, async ({ get }) => {
      const response = await get("/stream");
      const cookie = cookieOf(response) ?? "";
      assert.equal(await response.text(), "one two three");
      assert.equal(await (await get("/get", { cookie })).text(), "streamed");
    }),
  "answers without a body, and HEAD": (host) =>
    withApp(host, {}, async ({ get }) => {
      const response = await get("/empty");
      assert.equal(response.status, 204);
      assert.equal(await (await get("/get", { cookie: cookieOf(response) ?? "" })).text(), "empty");
    }),
  "answers a failed commit with a 500 that tells nothing, and goes on": (host) =>
    withApp(host, { onError: () => undefined }, async ({ store, get }) => {
      store.failure = new StoreUnavailableError("the table of the test");
      for (const path of ["/put", "/headers", "/stream", "/login"]) {
        const response = await get(path);
        assert.equal(response.status, 500, path);
        const body = await response.text();
        assert.doesNotMatch(body, /table|put|headers|one/);
        assert.deepEqual([response.headers.getSetCookie(), response.headers.get("Location")], [[], null]);
        // What the application had set of its own stays, as a policy does.
        assert.match(response.headers.get("Vary") ?? "", /(?:^|, )Cookie$/);
        assert.equal(response.headers.get("Cache-Control"), null);
      }
      store.failure = undefined;
      assert.ok(cookieOf(await get("/put")) !== undefined);
    }),
  "tells of a login with the error, when a later commit fails": (host) => {
    const other: AnyManager = new SessionManager(new GatedStore(), { cookie: { name: "admin" }, onError: () => {} });
    const stores: GatedStore[] = [other.store as GatedStore];
    const failing: App["routes"] = Object.fromEntries(
      ["first", "second", "both"].map((which) => [
        `/${which}`,
        async (session, second) => {
          await Promise.all([session.login("ada"), second.login("bob")]);
          await second.save();
          session.set("key", 1);
          await new Promise((resolve) => setImmediate(resolve));
          stores.forEach((store, index) => {
            if (which === "both" || index === (which === "first" ? 1 : 0)) {
              store.failure = new StoreUnavailableError("the table of the test");
            }
          });
          return { body: "in" };
        },
      ]),
    );
    const work = async ({ store, manager, get }: Client): Promise<void> => {
      stores.push(store);
      const session = await manager.load();
      session.set("basket", 1);
      await session.save();
      let cookie = `session=${session.token}`;
      // The second manager has stored all that it had to.
      for (const [path, status] of [
        ["/first", 500],
        ["/both", 500],
        ["/second", 200],
      ] as const) {
        const response = await get(path, { cookie });
        assert.equal(response.status, status, path);
        cookie = cookieOf(response) ?? "";
        const admin = cookieOf(response, "admin") ?? "";
        for (const one of stores) one.failure = undefined;
        const [first, second] = [await manager.load(cookie.split("=")[1]), await other.load(admin.split("=")[1])];
        assert.deepEqual([first.userId, first.get("basket"), second.userId], ["ada", 1, "bob"], path);
      }
    };
    return withApp(host, { onError: () => undefined }, work, { managers: [other], routes: failing });
  },
  "does not log in by a login that failed": (host) => {
    let store: GatedStore;
    const failing: App["routes"] = {
      "/login": async (session) => {
        store.failure = new StoreUnavailableError("the table of the test");
        const failed = await session.login("ada").then(
          () => false,
          () => true,
        );
        store.failure = undefined;
        session.set("flash", "not logged in");
        return { status: failed ? 503 : 200 };
      },
    };
    const work = async ({ store: own, manager, get }: Client): Promise<void> => {
      store = own;
      const session = await manager.load();
      session.set("basket", 1);
      await session.save();
      const response = await get("/login", { cookie: `session=${session.token}` });
      assert.deepEqual([response.status, cookieOf(response)], [503, undefined]);
      const again = await manager.load(session.token);
      assert.deepEqual([again.userId, again.get("basket"), again.get("flash")], [undefined, 1, "not logged in"]);
    };
    return withApp(host, {}, work, { routes: failing });
  },
  "answers with a 401 where nobody is logged in, and a 403 where a login is too old": (host) => {
    const guarded: App["routes"] = {
      ...routes,
      "/private": (session) => ({ body: session.requireUser() }),
      "/sensitive": (session) => ({ body: session.requireFresh(1) }),
      "/recent": (session) => ({ body: session.requireFresh("1h") }),
    };
    const work = async ({ get }: Client): Promise<void> => {
      const refused = async (path: string, cookie: string | undefined, status: number): Promise<void> => {
        const response = await get(path, cookie === undefined ? {} : { cookie });
        assert.deepEqual([response.status, cookieOf(response)], [status, undefined], path);
        assert.doesNotMatch(await response.text(), /error:|\.ts\b/i);
      };
      const visitor = cookieOf(await get("/put"));
      for (const path of ["/private", "/sensitive", "/recent"]) {
        await refused(path, undefined, 401);
        await refused(path, visitor, 401);
      }
      const cookie = cookieOf(await get("/login", { cookie: visitor ?? "" })) ?? "";
      await new Promise((resolve) => setTimeout(resolve, 5));
      await refused("/sensitive", cookie, 403);
      for (const path of ["/private", "/recent"]) assert.equal(await (await get(path, { cookie })).text(), "ada");
    };
    return withApp(host, {}, work, { routes: guarded });
  },
  "answers a failed load with a 500 that tells nothing": (host) =>
    withApp(host, {}, async (client) => {
      const cookies = await put(client);
      const { find } = client.store;
      client.store.find = () => Promise.reject(new StoreUnavailableError("the table of the test"));
      const response = await client.get("/get", cookies);
      assert.equal(response.status, 500);
      assert.doesNotMatch(await response.text(), /table/);
      assert.deepEqual([cookieOf(response), response.headers.get("Vary")], [undefined, "Cookie"]);
      client.store.find = find;
      assert.equal(await (await client.get("/get", cookies)).text(), "value");
    }),
  "tells caches that an answer depends on the cookie, though the handler has caught the failed load": async (host) => {
    const caught: App["routes"] = {
      "/get": async (session) => ({ body: await lazily(session).then(String, () => "caught") }),
    };
    const work = async ({ store, get }: Client): Promise<void> => {
      store.find = () => Promise.reject(new StoreUnavailableError("the table of the test"));
      const response = await get("/get", { cookie: `session=${"x".repeat(43)}` });
      assert.deepEqual([await response.text(), response.headers.get("Vary")], ["caught", "Cookie"]);
    };
    await withApp(host, { lazy: true }, work, { routes: caught });
  },
  "leaves nothing beside a cookie that lets some caches store": (host) => {
    const targeted = {
      "Cache-Control": "public, max-age=60",
      "CDN-Cache-Control": "max-age=60",
      "Vercel-CDN-Cache-Control": "max-age=60",
      "Surrogate-Control": "max-age=60",
      "X-Accel-Expires": "60",
      Expires: "Tue, 01 Jan 2999 00:00:00 GMT",
      "Cloudflare-CDN-Cache-Control": "no-store",
      Pragma: "no-cache",
    };
    const page: App["routes"] = {
      "/put": (session) => (session.set("key", 1), { headers: targeted, body: "page" }),
      "/page": () => ({ headers: targeted, body: "page" }),
    };
    const names = Object.keys(targeted);
    const work = async ({ store, get }: Client): Promise<void> => {
      const left = async (path: string): Promise<Record<string, string | null>> => {
        const { headers } = await get(path);
        return Object.fromEntries(names.filter((name) => headers.has(name)).map((name) => [name, headers.get(name)]));
      };
      assert.deepEqual(await left("/page"), targeted);
      assert.deepEqual(await left("/put"), {
        "Cache-Control": "private, no-store",
        "Cloudflare-CDN-Cache-Control": "no-store",
        Pragma: "no-cache",
      });
      store.failure = new StoreUnavailableError("the table of the test");
      // On fetch the error is an answer of its own.
      assert.deepEqual({ ...(await left("/put")), Pragma: "no-cache" }, { Pragma: "no-cache" });
    };
    return withApp(host, { onError: () => undefined }, work, { routes: page });
  },
  "stores the session of a handler that throws": (host) =>
    withApp(host, { onError: () => undefined }, async ({ get }) => {
      const response = await get("/throw");
      assert.equal(response.status, 500);
      assert.equal(await (await get("/get", { cookie: cookieOf(response) ?? "" })).text(), "thrown");
    }),
  "carries the token in headers where that is the transport": (host) =>
    withApp(host, { transport: "header" }, async ({ store, get }) => {
      const response = await get("/put", { cookie: `session=${"x".repeat(43)}` });
      const token = response.headers.get("Session-Token");
      assert.deepEqual([token?.length, response.headers.getSetCookie(), store.finds], [43, [], 0]);
      assert.equal(response.headers.get("Cache-Control"), "private, no-store");
      const authorization = `bearer ${token}`;
      const second = await get("/get", { authorization });
      assert.equal(await second.text(), "value");
      assert.deepEqual([second.headers.get("Vary"), second.headers.get("Session-Token")], ["Authorization", null]);
      assert.equal(await (await get("/get", { cookie: `session=${token}` })).text(), "undefined");
      assert.equal((await get("/logout", { authorization })).headers.get("Session-Token"), "");
      assert.equal(await (await get("/get", { authorization })).text(), "undefined");
    }),
  "serves two managers in one request": (host) => {
    const other: AnyManager = new SessionManager(new GatedStore(), { cookie: { name: "admin" }, lifetime: "1h" });
    const both: App["routes"] = {
      "/both": (session, second) => {
        session.set("key", "first");
        second.set("key", "second");
        return { body: "both" };
      },
      "/read": (session, second) => ({ body: `${String(session.get("key"))} ${String(second.get("key"))}` }),
    };
    return withApp(
      host,
      {},
      async ({ get }) => {
        const response = await get("/both");
        const cookie = `${cookieOf(response)}; ${cookieOf(response, "admin")}`;
        assert.equal(response.headers.get("Vary"), "Cookie");
        assert.equal(response.headers.get("Cache-Control"), "private, no-store");
        assert.equal(await (await get("/read", { cookie })).text(), "first second");
        const [only] = cookie.split("; ");
        assert.equal(await (await get("/read", { cookie: only ?? "" })).text(), "first undefined");
      },
      { managers: [other], routes: both },
    );
  },
  "makes no query until a lazy session is awaited": (host) => {
    const lazy: App["routes"] = {
      "/untouched": () => ({ body: "untouched" }),
      "/put": async (session) => {
        (await lazily(session)).set("key", "value");
        return { body: "put" };
      },
      "/get": async (session) => ({ body: String((await lazily(session)).get("key")) }),
    };
    const work = async (client: Client): Promise<void> => {
      const cookies = await put(client);
      const untouched = await client.get("/untouched", cookies);
      assert.equal(await untouched.text(), "untouched");
      assert.deepEqual([client.store.finds, untouched.headers.get("Vary")], [0, null]);
      assert.equal(await (await client.get("/get", cookies)).text(), "value");
      assert.equal(client.store.finds, 1);
    };
    return withApp(host, { lazy: true }, work, { routes: lazy });
  },
  "believes a proxy's word on TLS only where it is trusted": async (host) => {
    const secure = async (options: SessionOptions): Promise<boolean> => {
      let result = false;
      await withApp(host, options, async ({ get }) => {
        const response = await get("/put", { "x-forwarded-proto": "http, https" });
        result = response.headers.getSetCookie().join().includes("Secure");
      });
      return result;
    };
    assert.deepEqual([await secure({}), await secure({ trustProxy: true })], [false, true]);
  },
};
