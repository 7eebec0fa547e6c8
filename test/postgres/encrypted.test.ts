import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { encrypted, scsJson } from "../../src/codecs.ts";
import { MemoryStore, PgStore, type Session, type SessionEvent, SessionManager } from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";

const OLD = { id: "old", key: randomBytes(32) };
const NEW = { id: "new", key: randomBytes(32) };

let database: TestDatabase;
let pool: pg.Pool;
let store: PgStore;
beforeAll(async () => {
  database = await createDatabase();
  pool = database.pool({ max: 4 });
  store = new PgStore(pool, { cleanupInterval: 0 });
});
afterAll(async () => {
  await store?.close();
  await database?.drop();
});

type Keys = (typeof OLD)[];
const managerWith = (keys: Keys): SessionManager => new SessionManager(store, { codec: encrypted(scsJson, keys) });

async function stored(manager: SessionManager, name: string): Promise<{ token: string; id: string }> {
  const session = await manager.load();
  session.set("name", name);
  await manager.commit(session);
  return { token: session.token ?? "", id: session.id ?? "" };
}

/** Takes a session through all that writes it. */
async function useOf(manager: SessionManager): Promise<Session> {
  const session = await manager.load((await stored(manager, "Ada Lovelace")).token);
  session.set("more", 1);
  await manager.commit(session);
  await session.renewToken();
  await session.login("user-42");
  await manager.commit(session);
  const again = await manager.load(session.token);
  expect([again.get("name"), again.get("more"), again.userId]).toEqual(["Ada Lovelace", 1, "user-42"]);
  return again;
}

async function dataOf(id: string): Promise<Buffer | undefined> {
  const { rows } = await pool.query<{ data: Buffer }>("SELECT data FROM sessions WHERE token = $1", [id]);
  return rows[0]?.data;
}

/** The ids of the sessions that could not be read. */
function unread(): string[] {
  const ids: string[] = [];
  const listener = (event: unknown): unknown => ids.push((event as SessionEvent).id);
  subscribe("pgstore:error", listener);
  onTestFinished(() => void unsubscribe("pgstore:error", listener));
  return ids;
}

describe("encrypted sessions", () => {
  it("live through changes, a renewed token and a login, and show nothing in the table", async () => {
    const { token } = await useOf(managerWith([NEW]));
    expect((await managerWith([NEW]).load(token)).userId).toBe("user-42");
    const { rows } = await pool.query<{ data: Buffer }>("SELECT data FROM sessions");
    expect(rows.length).toBeGreaterThan(0);
    for (const { data } of rows) {
      expect(data.includes("Ada")).toBe(false);
      expect(data.includes("user-42")).toBe(false);
    }
  });

  it("are bound to the token's hash where the table holds the token itself, too", async () => {
    const memory = new MemoryStore({ cleanupInterval: 0 });
    const manager = new SessionManager(memory, { codec: encrypted(scsJson, [NEW]), hashTokens: false });
    const { token = "" } = await useOf(manager);
    const row = await memory.find(token);
    expect(
      encrypted(scsJson, [NEW])
        .decode(row?.data ?? new Uint8Array(), idOf(token))
        .values.get("__userId"),
    ).toBe("user-42");
    expect(() => encrypted(scsJson, [NEW]).decode(row?.data ?? new Uint8Array(), token)).toThrow(Error);
  });

  it("can't be moved to another row: that is no session, an event tells, and the row is left alone", async () => {
    const manager = managerWith([NEW]);
    const [admin, guest] = [await stored(manager, "admin"), await stored(manager, "guest")];
    const stolen = await dataOf(admin.id);
    await pool.query("UPDATE sessions SET data = $2 WHERE token = $1", [guest.id, stolen]);
    const ids = unread();
    const session = await manager.load(guest.token);
    expect([session.status, session.get("name")]).toEqual(["new", undefined]);
    session.set("name", "anew");
    await manager.commit(session);
    expect(session.id).not.toBe(guest.id);
    expect(await dataOf(guest.id)).toEqual(stolen);
    await session.destroy();

    const target = await manager.load(admin.token);
    await manager.mergeSession(target, guest.token);
    expect(target.get("name")).toBe("admin");
    const names: unknown[] = [];
    for await (const each of manager.iterate()) names.push(each.get("name"));
    expect(names).toContain("admin");
    expect(names).not.toContain("guest");
    expect(ids.filter((id) => id === guest.id)).toHaveLength(3);
  });

  it("end at the deadline that is sealed in them, and belong to the user in them, whatever somebody writes to the columns", async () => {
    const manager = new SessionManager(store, { codec: encrypted(scsJson, [NEW]), lifetime: 300 });
    const session = await manager.load();
    session.set("name", "Ada");
    await session.login("ada");
    await manager.commit(session);
    const { token = "", id = "", deadline } = session;
    await pool.query("UPDATE sessions SET user_id = 'mallory', expiry = now() + interval '1 year' WHERE token = $1", [
      id,
    ]);
    expect((await manager.load(token)).userId).toBe("ada");
    await expect.poll(async () => (await store.now()) > Number(deadline)).toBe(true);
    const after = await manager.load(token);
    expect([after.status, after.userId]).toEqual(["new", undefined]);
    const names: unknown[] = [];
    for await (const each of manager.iterate()) names.push(each.id);
    expect(names).not.toContain(id);
    const other = await manager.load((await stored(manager, "other")).token);
    await manager.mergeSession(other, token);
    expect(other.get("name")).toBe("other");
    await session.destroy();
  });

  it("are never plain: a row that was written without encryption is no session", async () => {
    const plain = await stored(new SessionManager(store), "plain");
    const ids = unread();
    expect((await managerWith([NEW]).load(plain.token)).status).toBe("new");
    expect(ids).toEqual([plain.id]);
    expect((await new SessionManager(store).load(plain.token)).get("name")).toBe("plain");
  });

  it("move to the first key with their next change, not by being read", async () => {
    const { token, id } = await stored(managerWith([OLD]), "Ada");
    const rotating = managerWith([NEW, OLD]);
    const session = await rotating.load(token);
    expect(session.get("name")).toBe("Ada");
    await rotating.commit(session);
    expect((await managerWith([OLD]).load(token)).get("name")).toBe("Ada");
    session.set("seen", true);
    await rotating.commit(session);
    expect((await dataOf(id))?.subarray(2, 5).toString()).toBe("new");
    expect((await managerWith([NEW]).load(token)).get("name")).toBe("Ada");
    expect((await managerWith([OLD]).load(token)).status).toBe("new");
  });

  it("are not overwritten when they became unreadable under a request", async () => {
    const manager = managerWith([NEW]);
    const { token, id } = await stored(manager, "Ada");
    const session = await manager.load(token);
    session.set("name", "lost");
    const damaged = Buffer.from((await dataOf(id)) ?? []);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    await pool.query("UPDATE sessions SET data = $2 WHERE token = $1", [id, damaged]);
    await expect(manager.commit(session)).rejects.toMatchObject({ code: "SESSION_DECODE", id });
    expect(await dataOf(id)).toEqual(damaged);
  });
});
