import { createHash } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { io } from "socket.io-client";
import { expect } from "vitest";
import { WebSocket } from "ws";
import { apiClient, browser, type Client, graphqlClient, type MakeClient, trpcClient } from "./clients.ts";
import { onNode, type Program, type RunningExample } from "./example-process.ts";

/** What is particular about an example. */
export interface Example {
  client: MakeClient;
  /** What it answers to what changes the session. */
  posted: 303 | 204 | 200;
  /** How it ends when it is told to stop; default 0. */
  code?: number;
  /** What its framework has to say about the page that is missing; default nothing. */
  errors?: RegExp;
  /** What else to try while `client` is logged in; resolves to what to try when it has logged out. */
  also?: (url: string, client: Client, pool: pg.Pool) => Promise<() => Promise<void>>;
  /** How it is started, unless by Node; from the folder that it is in. */
  start?: (folder: string, file: string) => Program;
  /** It has pages with forms, which a real browser uses: also without scripts, or only with them. */
  pages?: "also without scripts" | "with scripts";
}

const page: Example = { client: browser, posted: 303 };
/** Pages with forms, and JSON below a path of its own. */
const pages: Example = {
  client: (url, token) => browser(url, token, "session", "/api"),
  posted: 303,
  also: usePages,
  pages: "also without scripts",
};

/** The examples that Node runs, and how they are walked through. */
export const EXAMPLES: Record<string, Example> = {
  "bearer.ts": { client: apiClient, posted: 204 },
  "connect.ts": page,
  "dashboard.ts": { ...page, also: useDashboard },
  "express-4.ts": page,
  "express.ts": page,
  "fastify.ts": page,
  "fetch.ts": page,
  "hono.ts": page,
  "koa.ts": page,
  "lambda.ts": { ...page, start: onGateway },
  "node-http.ts": page,
  "passport.ts": page,
  "polka.ts": page,
  "prometheus.ts": { ...page, also: useMetrics },
  "scs.ts": page,
  "socket-io.ts": { ...page, also: useSocketIo },
  "websocket.ts": { ...page, also: useSocket },
};

/** Those of other runtimes. */
export const RUNTIME_EXAMPLES: Record<string, Example> = { "bun.ts": page, "deno.ts": page };

/** Those that are built. */
export const APPS: Record<string, Example> = {
  apollo: { client: graphqlClient, posted: 200, also: useResolvers },
  astro: pages,
  nestjs: { ...page, also: useGuard },
  // 128 and SIGTERM's number.
  nextjs: { ...pages, also: useMine, code: 143 },
  "react-router": { ...page, also: useHello, errors: /^Error: No route matches URL "\/nowhere"\n[^]*?\n\}\n\n$/ },
  sveltekit: { ...pages, errors: /^\n\S*\[404\] GET \/nowhere\S*\n$/ },
  "tanstack-start": { ...pages, pages: "with scripts" },
  trpc: { client: trpcClient, posted: 200, also: useProcedures },
};

/** Starts a server that calls a function as a cloud does. */
function onGateway(folder: string, file: string): Program {
  const { args, ...program } = onNode(folder, fileURLToPath(new URL("lambda-server.ts", import.meta.url)));
  return { ...program, args: [...args, file] };
}

/** Walks through an example, and then looks whether it finishes what is under way when it is told to stop. */
export async function walkThrough(example: Example, running: RunningExample, pool: pg.Pool): Promise<void> {
  await walk(example, running.url, pool);
  const finish = await example.client(running.url).begin("/notes", { note: "Late" });
  await running.stop();
  expect(await finish()).toBe(example.posted);
  const { code = 0, errors = /^$/ } = example;
  expect(await running.ended()).toEqual({ code, errors: expect.stringMatching(errors) as string });
}

/** Logs in, reads, writes, logs out, and looks at each step whether what must be dead is dead. */
async function walk(example: Example, url: string, pool: pg.Pool): Promise<void> {
  const { client: makeClient, posted } = example;
  const client = makeClient(url);
  expect(await client.read()).toEqual({ notes: [] });
  expect(client.token).toBe(undefined);

  expect(await client.post("/notes", { note: "Buy milk" })).toBe(posted);
  const anonymous = client.token;
  expect(anonymous).toMatch(/^[\w-]{43}$/);
  expect(await client.post("/login", { user: "ada" })).toBe(posted);
  const { token } = client;
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(token).not.toBe(anonymous);
  expect(await makeClient(url, anonymous).read()).toEqual({ notes: [] });
  expect(await client.read()).toEqual({ user: "ada", notes: ["Buy milk"] });

  expect(await client.post("/notes", { note: "Brot & Käse" })).toBe(posted);
  const notes = ["Buy milk", "Brot & Käse"];
  expect(await client.read()).toEqual({ user: "ada", notes });
  expect(await makeClient(url, token).read()).toEqual({ user: "ada", notes });
  expect(await makeClient(url).read()).toEqual({ notes: [] });
  expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  expect(await rows(pool, anonymous, token)).toEqual([idOf(token)]);

  const after = await example.also?.(url, client, pool);
  expect(await client.post("/logout")).toBe(posted);
  expect(client.token).toBe(undefined);
  expect(await client.read()).toEqual({ notes: [] });
  expect(await makeClient(url, token).read()).toEqual({ notes: [] });
  expect(await rows(pool, anonymous, token)).toEqual([]);
  await after?.();
}

/** Which live rows there are of these tokens. */
async function rows(pool: pg.Pool, ...tokens: (string | undefined)[]): Promise<string[]> {
  const ids = tokens.flatMap((token) => [token, idOf(token)]);
  const sql = "SELECT token FROM sessions WHERE token = ANY($1) AND expiry > current_timestamp";
  const { rows } = await pool.query<{ token: string }>(sql, [ids]);
  return rows.map((row) => row.token);
}

function idOf(token: string | undefined): string {
  return createHash("sha256")
    .update(token ?? "")
    .digest("base64url");
}

/** A route for users who are logged in. */
async function useGuard(url: string, client: Client): Promise<() => Promise<void>> {
  const { token } = client;
  const ask = (): Promise<Response> => fetch(`${url}/devices`, { headers: { cookie: `session=${token}` } });
  expect(await (await ask()).json()).toEqual([expect.objectContaining({ current: true })]);
  return async () => expect((await ask()).status).toBe(401);
}

/** The page that a server component or a loader makes. */
async function useHello(url: string, client: Client): Promise<() => Promise<void>> {
  const read = async (token = ""): Promise<string> => {
    const response = await fetch(`${url}/hello`, { headers: { cookie: `session=${token}` } });
    expect(response.headers.getSetCookie()).toEqual([]);
    return response.text();
  };
  const { token } = client;
  expect(await read(token)).toContain("Hello, ada!");
  expect(await read()).toContain("Hello, stranger!");
  return async () => {
    expect(await read(token)).toContain("Hello, stranger!");
  };
}

/** The pages, which only read, and extend the session by that. */
async function usePages(url: string, client: Client, pool: pg.Pool): Promise<() => Promise<void>> {
  const open = async (path: string, token = ""): Promise<Response> =>
    fetch(url + path, { redirect: "manual", headers: { cookie: `session=${token}` } });
  const { token } = client;
  const stranger = await open("/account");
  expect([stranger.status, stranger.headers.get("location")]).toEqual([expect.toBeOneOf([302, 303, 307]), "/"]);
  expect(await (await open("/")).text()).toContain("Hello, stranger!");
  await pool.query("UPDATE sessions SET expiry = now() + interval '5 minutes' WHERE token = $1", [idOf(token)]);
  const response = await open("/account", token);
  expect(await response.text()).toContain("Hello, ada!");
  expect(response.headers.getSetCookie()).toEqual([]);
  const sql = "SELECT expiry > now() + interval '55 minutes' AS extended FROM sessions WHERE token = $1";
  expect((await pool.query(sql, [idOf(token)])).rows).toEqual([{ extended: true }]);
  return async () => {
    expect(await (await open("/", token)).text()).toContain("Hello, stranger!");
  };
}

/** The pages, and a route that those who are not logged in are sent away from by Next's `redirect()`. */
async function useMine(url: string, client: Client, pool: pg.Pool): Promise<() => Promise<void>> {
  const after = await usePages(url, client, pool);
  const { token } = client;
  const open = async (): Promise<unknown[]> => {
    const response = await fetch(`${url}/api/mine`, { redirect: "manual", headers: { cookie: `session=${token}` } });
    return [response.status, response.headers.get("location"), await response.text()];
  };
  expect(await open()).toEqual([200, null, JSON.stringify(["Buy milk", "Brot & Käse"])]);
  return async () => {
    await after();
    expect(await open()).toEqual([307, "/", ""]);
  };
}

/** Several procedures in a request, and those of users who are logged in. */
async function useProcedures(url: string, client: Client): Promise<() => Promise<void>> {
  const { token = "" } = client;
  const headers = { cookie: `session=${token}`, "content-type": "application/json" };
  const devices = async (cookie: string): Promise<unknown[]> => {
    const response = await fetch(`${url}/devices`, { headers: { cookie } });
    return [response.status, await response.json()];
  };
  expect(await devices("")).toMatchObject([401, { error: { data: { code: "UNAUTHORIZED" } } }]);
  expect(await devices(headers.cookie)).toMatchObject([200, { result: { data: [{ current: true }] } }]);
  const body = JSON.stringify({ 0: { note: "one" }, 1: { note: "two" } });
  const batch = await fetch(`${url}/notes,notes?batch=1`, { method: "POST", headers, body });
  expect(await batch.json()).toEqual([{ result: {} }, { result: {} }]);
  expect((await client.read()).notes.slice(-2)).toEqual(["one", "two"]);
  // Its answer begins before the procedures do: they fail, and nothing is lost in silence.
  const streaming = { ...headers, "trpc-accept": "application/jsonl" };
  const stream = await fetch(`${url}/notes,notes?batch=1`, { method: "POST", headers: streaming, body });
  expect(await stream.text()).toContain("update: the session is already committed");
  expect((await client.read()).notes).toHaveLength(4);
  return async () => expect((await devices(headers.cookie))[0]).toBe(401);
}

/** What needs a user, and two mutations in one request. */
async function useResolvers(url: string, client: Client): Promise<() => Promise<void>> {
  const ask = async (query: string, token = client.token): Promise<unknown[]> => {
    const headers = { cookie: `session=${token}`, "content-type": "application/json" };
    const response = await fetch(`${url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
    return [response.status, await response.json()];
  };
  const devices = "{ devices { current } }";
  const { token } = client;
  expect(await ask(devices, "")).toMatchObject([401, { errors: [{ extensions: { code: "UNAUTHENTICATED" } }] }]);
  expect(await ask(devices)).toEqual([200, { data: { devices: [{ current: true }] } }]);
  await ask('mutation { one: addNote(note: "one") { notes } two: addNote(note: "two") { notes } }');
  expect((await client.read()).notes.slice(-2)).toEqual(["one", "two"]);
  return async () => expect((await ask(devices, token))[0]).toBe(401);
}

/** What Prometheus would read: commits by what they did. */
async function useMetrics(url: string): Promise<() => Promise<void>> {
  const commits = async (): Promise<Record<string, number>> => {
    const body = await (await fetch(`${url}/metrics`)).text();
    const lines = body.matchAll(/^pgstore_commit_duration_count\{pgstore_plan="(\w+)".*\} (\d+)$/gm);
    return Object.fromEntries(Array.from(lines, ([, plan = "", count]) => [plan, Number(count)]));
  };
  expect(await commits()).toEqual({ create: 1, renew: 1, replace: 1 });
  return async () => {
    expect(await commits()).toEqual({ create: 1, renew: 1, replace: 1, destroy: 1 });
  };
}

/** Who may see the dashboard, and that it ends sessions. The other examples have an ada as well. */
async function useDashboard(url: string, client: Client): Promise<() => Promise<void>> {
  const home = `${url}/admin/sessions/`;
  const ask = async (path: string, token?: string, init: RequestInit = {}): Promise<Response> =>
    fetch(new URL(path, home), {
      ...init,
      redirect: "manual",
      headers: { origin: url, ...(token === undefined ? {} : { cookie: `session=${token}` }) },
    });
  expect((await ask("", client.token)).status).toBe(403);
  const stranger = await ask("");
  expect([stranger.status, stranger.headers.get("location")]).toEqual([303, "/login"]);
  const [admin, bob] = [browser(url), browser(url)];
  expect([await admin.post("/login", { user: "admin" }), await bob.post("/login", { user: "bob" })]).toEqual([
    303, 303,
  ]);
  expect(await (await ask("", admin.token)).text()).toContain("Live sessions");
  expect(await (await ask("users?q=bo", admin.token)).text()).toContain('href="user?id=bob"');
  const page = await (await ask("revoke?user=bob", admin.token)).text();
  const fields = [...page.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g)];
  const body = new URLSearchParams(Object.fromEntries(fields.map(([, name, value]) => [name, value])));
  expect((await ask("revoke", admin.token, { method: "POST", body })).status).toBe(303);
  expect(await bob.read()).toEqual({ notes: [] });
  return async () => {
    expect((await ask("", admin.token)).status).toBe(200);
    expect((await ask("", client.token)).status).toBe(303);
  };
}

async function useSocket(url: string, client: Client): Promise<() => Promise<void>> {
  const open = (token?: string): WebSocket =>
    new WebSocket(url.replace("http:", "ws:"), token === undefined ? {} : { headers: { cookie: `session=${token}` } });
  const [refused] = (await once(open(), "error")) as [Error];
  expect(refused.message).toContain("401");

  const socket = open(client.token);
  await once(socket, "open");
  socket.send("By socket");
  const [answer] = (await once(socket, "message")) as [Buffer];
  expect(JSON.parse(answer.toString())).toEqual(["Buy milk", "Brot & Käse", "By socket"]);
  expect((await client.read()).notes).toContain("By socket");
  const closed = once(socket, "close");
  return async () => {
    expect((await closed)[0]).toBe(4001);
  };
}

/** Sockets of socket.io, over each of its transports. */
async function useSocketIo(url: string, client: Client): Promise<() => Promise<void>> {
  const open = (transport: string, headers: Record<string, string>) =>
    io(url, { transports: [transport], extraHeaders: headers, forceNew: true, reconnection: false });
  const cookie = `session=${client.token}`;
  const heard = <T>(socket: ReturnType<typeof io>, event: string): Promise<T> =>
    new Promise((resolve) => socket.once(event, resolve));
  const disconnected: Promise<string>[] = [];
  for (const transport of ["websocket", "polling"]) {
    for (const refused of [{}, { cookie, origin: "http://elsewhere.example" }]) {
      const socket = open(transport, refused);
      expect((await heard<Error>(socket, "connect_error")).message).toMatch(/^log in first$|page of another host/);
      socket.close();
    }
    const socket = open(transport, { cookie });
    await heard(socket, "connect");
    const note = heard(socket, "note");
    expect(await client.post("/notes", { note: `By ${transport}` })).toBe(303);
    expect(await note).toBe(`By ${transport}`);
    expect(await socket.emitWithAck("notes")).toContain(`By ${transport}`);
    disconnected.push(heard(socket, "disconnect"));
  }
  return async () => {
    expect(await Promise.all(disconnected)).toEqual(["io server disconnect", "io server disconnect"]);
  };
}
