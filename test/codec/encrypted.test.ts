import { randomBytes } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Codec, encrypted, scsJson } from "../../src/codecs.ts";
import { MemoryStore, SessionDecodeError, SessionManager, type Value } from "../../src/index.ts";
import { idOf } from "../../src/lib/core/token.ts";

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const deadline = new Date("2030-01-01T00:00:00Z");
const sessionOf = (values: Record<string, Value>) => ({ values: new Map(Object.entries(values)), deadline });
const first = encrypted(scsJson, [{ id: "2026", key: key(1) }]);

describe("encrypted", () => {
  it("gives back what it was given, and writes nothing of it that can be read", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string({ minLength: 12 })), fc.string(), (values, id) => {
        const bytes = first.encode(sessionOf(values), id);
        expect(first.decode(bytes, id)).toEqual(sessionOf(values));
        const text = Buffer.from(bytes).toString("latin1");
        for (const value of Object.values(values)) expect(text.includes(value)).toBe(false);
      }),
    );
  });

  it("refuses bytes of which a single bit is another, and all that are cut off", () => {
    const bytes = first.encode(sessionOf({ user: "ada" }), "id");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => first.decode(changed, "id"), `bit ${bit}`).toThrow();
    }
    for (let length = 0; length < bytes.length; length++) {
      expect(() => first.decode(bytes.subarray(0, length), "id")).toThrow();
    }
    expect(() => first.decode(Uint8Array.from([...bytes, 0]), "id")).toThrow();
    expect(first.decode(bytes, "id").values.get("user")).toBe("ada");
  });

  it("refuses what another codec could read, what belongs to another session, and what another key wrote", () => {
    const plain = scsJson.encode(sessionOf({ admin: true }));
    expect(() => first.decode(plain, "id")).toThrow(/not encrypted with any of the keys/);
    const bytes = first.encode(sessionOf({ user: "ada" }), "id");
    expect(() => first.decode(bytes, "another")).toThrow();
    expect(() => encrypted(scsJson, [{ id: "2026", key: key(2) }]).decode(bytes, "id")).toThrow();
    expect(() => encrypted(scsJson, [{ id: "2027", key: key(1) }]).decode(bytes, "id")).toThrow(/any of the keys/);
  });

  it("never uses a nonce twice", () => {
    const count = 2000;
    const written = Array.from({ length: count }, () => Buffer.from(first.encode(sessionOf({}), "id")).toString("hex"));
    expect(new Set(written.map((hex) => hex.slice(12, 36))).size).toBe(count);
  });

  it("writes with the first key and reads with all", () => {
    const old = first.encode(sessionOf({ user: "ada" }), "id");
    const both = encrypted(scsJson, [
      { id: "2027", key: key(2) },
      { id: "2026", key: key(1) },
    ]);
    const again = both.encode(both.decode(old, "id"), "id");
    expect(() => first.decode(again, "id")).toThrow();
    expect(
      encrypted(scsJson, [{ id: "2027", key: key(2) }])
        .decode(again, "id")
        .values.get("user"),
    ).toBe("ada");
  });

  it("takes keys as bytes, base64, base64url and hex, and names those without a name", () => {
    const bytes = randomBytes(32);
    const written = encrypted(scsJson, [bytes]).encode(sessionOf({ n: 1 }), "id");
    for (const encoding of ["base64", "base64url", "hex"] as const) {
      expect(
        encrypted(scsJson, [key(9), bytes.toString(encoding)])
          .decode(written, "id")
          .values.get("n"),
      ).toBe(1);
    }
  });

  const wrong: [keys: unknown, message: RegExp][] = [
    [undefined, /^keys: /],
    [[], /^keys: expected an array of at least one key/],
    ["x".repeat(32), /^keys: /],
    [[key(1).subarray(1)], /^keys\[0\]: expected 32 bytes/],
    [[key(1), "secret of the test"], /^keys\[1\]: expected 32 bytes/],
    [[{ id: "a", key: "secret of the test" }], /^keys\[0\]\.key: /],
    [[{ id: "", key: key(1) }], /^keys\[0\]\.id: /],
    [[{ id: "é", key: key(1) }], /^keys\[0\]\.id: /],
    [[{ id: "x".repeat(33), key: key(1) }], /^keys\[0\]\.id: /],
    [[{ key: key(1) }], /^keys\[0\]\.id: /],
    [
      [
        { id: "a", key: key(1) },
        { id: "a", key: key(2) },
      ],
      /^keys\[1\]\.id: expected a unique id/,
    ],
  ];
  for (const [index, [keys, message]] of wrong.entries()) {
    it(`refuses wrong keys by name, and never shows them (${index}): ${message.source}`, () => {
      expect(() => encrypted(scsJson, keys as never)).toThrow(message);
      expect(() => encrypted(scsJson, keys as never)).not.toThrow(/secret of the test/);
    });
  }

  it("refuses a codec that is none", () => {
    expect(() => encrypted({} as Codec, [key(1)])).toThrow(/^codec: /);
  });
});

describe("a manager with an encrypted codec", () => {
  const setup = (codec: Codec = first) => {
    const store = new MemoryStore({ cleanupInterval: 0 });
    return {
      store,
      manager: new SessionManager<{ n: number }>(store, { codec }),
      withCodec: (other: Codec) => new SessionManager<{ n: number }>(store, { codec: other }),
    };
  };
  const begin = async (manager: SessionManager<{ n: number }>, n: number): Promise<string> => {
    const session = await manager.load();
    session.set("n", n);
    await manager.commit(session);
    return session.token ?? "";
  };

  it("goes through create, replace, renew and login", async () => {
    const { manager } = setup();
    const token = await begin(manager, 1);
    const session = await manager.load(token);
    session.update("n", (n = 0) => n + 1);
    await manager.commit(session);
    await session.login("ada");
    await session.renewToken();
    const again = await manager.load(session.token);
    expect([again.get("n"), again.userId]).toEqual([2, "ada"]);
  });

  it("takes data that was moved to another row, or tampered with, for no session, and tells", async () => {
    const events: { id: string; error: unknown }[] = [];
    const listener = (event: unknown): void => void events.push(event as { id: string; error: unknown });
    subscribe("pgstore:error", listener);
    onTestFinished(() => void unsubscribe("pgstore:error", listener));
    const { store, manager } = setup();
    const [victim, attacker] = [await begin(manager, 1), await begin(manager, 2)];
    const stolen = await store.find(idOf(victim));
    const row = { data: stolen?.data ?? new Uint8Array(), expiry: stolen?.expiry ?? new Date() };
    await store.save(idOf(attacker), row.data, row.expiry);
    expect((await manager.load(attacker)).status).toBe("new");
    await store.save(idOf(attacker), scsJson.encode(sessionOf({ n: 3 })), row.expiry);
    expect((await manager.load(attacker)).size).toBe(0);
    expect(events.map(({ id }) => id)).toEqual([idOf(attacker), idOf(attacker)]);
    for (const { error } of events) expect(error).toBeInstanceOf(SessionDecodeError);
    expect((await manager.load(victim)).get("n")).toBe(1);
  });

  it("rotates: a session of the old key is written with the new one at its next save", async () => {
    const { manager, withCodec } = setup();
    const token = await begin(manager, 1);
    const rotating = withCodec(
      encrypted(scsJson, [
        { id: "2027", key: key(2) },
        { id: "2026", key: key(1) },
      ]),
    );
    const session = await rotating.load(token);
    session.update("n", (n = 0) => n + 1);
    await rotating.commit(session);
    const afterwards = withCodec(encrypted(scsJson, [{ id: "2027", key: key(2) }]));
    expect((await afterwards.load(token)).get("n")).toBe(2);
    expect((await manager.load(token)).status).toBe("new");
  });
});
