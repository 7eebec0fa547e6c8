import { createHash } from "node:crypto";
import { once } from "node:events";
import type pg from "pg";
import { expect } from "vitest";
import { WebSocket } from "ws";
import { apiClient, browser, type Client, type MakeClient } from "./clients.ts";

/** What is particular about an example. */
export interface Example {
  client: MakeClient;
  /** What it answers to what changes the session. */
  posted: 303 | 204;
  /** What else to try while `client` is logged in; resolves to what to try when it has logged out. */
  besides?: (url: string, client: Client) => Promise<() => Promise<void>>;
}

const page: Example = { client: browser, posted: 303 };

/** Every file in examples/, and how it is walked through. */
export const EXAMPLES: Record<string, Example> = {
  "bearer.ts": { client: apiClient, posted: 204 },
  "connect.ts": page,
  "express-4.ts": page,
  "express.ts": page,
  "fastify.ts": page,
  "fetch.ts": page,
  "hono.ts": page,
  "koa.ts": page,
  "node-http.ts": page,
  "polka.ts": page,
  "seed.ts": page,
  "websocket.ts": { ...page, besides: useSocket },
};

/** Logs in, reads, writes, logs out, and looks at each step whether what must be dead is dead. */
export async function walk(example: Example, url: string, pool: pg.Pool): Promise<void> {
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

  const after = await example.besides?.(url, client);
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
