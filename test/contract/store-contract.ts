import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { ConditionalStore, EndingStore, StoredEntry, StoreExtras } from "../../src/index.ts";

/** A store under test, empty, and the means to age its rows without waiting. */
export interface StoreHost {
  store: ConditionalStore &
    EndingStore &
    StoreExtras &
    Required<Pick<StoreExtras, "terminate" | "follow" | "supersede">> & {
      all(): AsyncIterable<StoredEntry>;
      count(): Promise<number>;
      deleteExpired(): Promise<number>;
      stopCleanup(): void;
      close(): Promise<void>;
    };
  /** Moves the expiry of a row to a minute ago, by the store's clock. */
  expire(token: string): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const soon = (): Date => new Date(Date.now() + 60_000);
const later = (): Date => new Date(Date.now() + 3_600_000);

async function dataOf({ store }: StoreHost, token: string): Promise<string | undefined> {
  const found = await store.find(token);
  return found && new TextDecoder().decode(found.data);
}

/** What every store promises; each case gets an empty store. Knows no test runner, so that any runtime can run it. */
export const storeContract: Record<string, (host: StoreHost) => Promise<void>> = {
  "find resolves to undefined when there is no row": async ({ store }) => {
    assert.equal(await store.find("missing"), undefined);
  },
  "find gives back the bytes and the expiry to the millisecond": async ({ store }) => {
    const expiry = soon();
    await store.save("t", bytes("data"), expiry);
    const found = await store.find("t");
    assert.deepEqual([...(found?.data ?? [])], [...bytes("data")]);
    assert.ok(found?.data instanceof Uint8Array);
    assert.equal(found.expiry.getTime(), expiry.getTime());
  },
  "find does not see an expired row": async (host) => {
    await host.store.save("t", bytes("data"), soon());
    await host.expire("t");
    assert.equal(await host.store.find("t"), undefined);
  },
  "find gives bytes that the caller may change": async (host) => {
    await host.store.save("t", bytes("data"), soon());
    (await host.store.find("t"))?.data.fill(0);
    assert.equal(await dataOf(host, "t"), "data");
  },
  "save keeps its own copy of the bytes": async (host) => {
    const data = bytes("data");
    await host.store.save("t", data, soon());
    data.fill(0);
    assert.equal(await dataOf(host, "t"), "data");
  },
  "save takes a view into a larger buffer": async (host) => {
    await host.store.save("t", bytes("xxdataxx").subarray(2, 6), soon());
    assert.equal(await dataOf(host, "t"), "data");
  },
  "save overwrites data and expiry": async (host) => {
    await host.store.save("t", bytes("one"), later());
    const expiry = soon();
    await host.store.save("t", bytes("two"), expiry);
    assert.equal(await dataOf(host, "t"), "two");
    assert.equal((await host.store.find("t"))?.expiry.getTime(), expiry.getTime());
  },
  "save keeps every byte, none, and a megabyte": async ({ store }) => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index);
    const large = Uint8Array.from({ length: 1 << 20 }, (_, index) => (index * 7) % 256);
    for (const data of [all, large, new Uint8Array()]) {
      await store.save("t", data, soon());
      assert.ok(Buffer.from(data).equals((await store.find("t"))?.data ?? bytes("?")));
    }
  },
  "save of an expired session leaves nothing to find": async ({ store }) => {
    await store.save("t", bytes("data"), new Date(Date.now() - 60_000));
    assert.equal(await store.find("t"), undefined);
  },
  "expiry takes the whole range of a Date": async ({ store }) => {
    await store.save("t", bytes("data"), new Date(8.64e15));
    assert.equal((await store.find("t"))?.expiry.getTime(), 8.64e15);
    for (const past of [0, -1, -8.64e15]) {
      await store.save("t", bytes("data"), new Date(past));
      assert.equal(await store.find("t"), undefined);
    }
  },
  "tokens are any text up to 1 KB": async (host) => {
    const tokens = ["a'b\"c\\d;--", "%00", "ключ 键 🔑", " ", "x".repeat(1024), "a", "A", "{1,2}", "NULL", 'a,"b'];
    for (const token of tokens) await host.store.save(token, bytes(token), soon());
    for (const token of tokens) assert.equal(await dataOf(host, token), token);
    const listed: string[] = [];
    for await (const { id: token } of host.store.all()) listed.push(token);
    assert.deepEqual(listed.toSorted(), tokens.toSorted());
  },
  "bad arguments throw TypeError and change nothing": async ({ store }) => {
    const wrong: [unknown, unknown, unknown][] = [
      [undefined, bytes("x"), soon()],
      ["", bytes("x"), soon()],
      ["t", "x", soon()],
      ["t", [1], soon()],
      ["t", bytes("x"), new Date(Number.NaN)],
      ["t", bytes("x"), 123],
    ];
    for (const args of wrong) {
      const [token, data, expiry] = args as [string, Uint8Array, Date];
      // Rejected, not thrown: a caller without await would never see what is thrown.
      await assert.rejects(store.save(token, data, expiry), TypeError);
      await assert.rejects(store.create(token, data, expiry), TypeError);
    }
    assert.equal(await store.find("t"), undefined);
  },
  "nothing is found under a malformed key, and every write of one throws TypeError": async ({ store }) => {
    const keys = ["", "a\0b", "\ud800", "x".repeat(1025), undefined, null, 42, {}, ["t"]] as string[];
    for (const key of keys) {
      assert.equal(await store.find(key), undefined);
      assert.equal(await store.lookUp?.(key), undefined);
      assert.equal(await store.delete(key), false);
      assert.equal(await store.end(key), false);
      const writes = [
        store.save(key, bytes("x"), soon()),
        store.upsert(key, bytes("x"), soon()),
        store.create(key, bytes("x"), soon()),
        store.replace(key, bytes("x"), bytes("y"), soon()),
        store.renew(key, "t", bytes("x"), bytes("y"), soon()),
        store.update(key, bytes("x"), soon()),
        store.touch(key, soon()),
        store.setExpiry(key, soon()),
      ];
      // Never with the id: where tokens are not hashed it is the secret.
      const refusal = new TypeError("id: expected 1 to 1024 characters of valid UTF-8 without NUL");
      for (const write of writes) await assert.rejects(write, refusal);
    }
    await store.save("t", bytes("data"), soon());
    for (const key of keys) {
      await assert.rejects(store.renew("t", key, bytes("data"), bytes("y"), soon()), TypeError);
    }
    assert.ok(await store.find("t"));
  },
  "delete removes the row and tells whether there was one": async ({ store }) => {
    await store.save("t", bytes("data"), soon());
    assert.equal(await store.delete("t"), true);
    assert.equal(await store.find("t"), undefined);
    assert.equal(await store.delete("t"), false);
  },
  "create inserts": async (host) => {
    assert.equal(await host.store.create("t", bytes("data"), soon()), true);
    assert.equal(await dataOf(host, "t"), "data");
  },
  "create never takes over a row, live or expired": async (host) => {
    await host.store.save("t", bytes("theirs"), soon());
    assert.equal(await host.store.create("t", bytes("mine"), later()), false);
    assert.equal(await dataOf(host, "t"), "theirs");
    await host.expire("t");
    assert.equal(await host.store.create("t", bytes("mine"), later()), false);
    assert.equal(await host.store.find("t"), undefined);
  },
  "of many parallel creates one wins": async ({ store }) => {
    const wins = await Promise.all(Array.from({ length: 20 }, (_, n) => store.create("t", bytes(String(n)), soon())));
    assert.equal(wins.filter(Boolean).length, 1);
  },
  "replace needs the very bytes that are stored": async (host) => {
    await host.store.save("t", bytes("one"), soon());
    assert.equal(await host.store.replace("t", bytes("on"), bytes("two"), soon()), false);
    assert.equal(await host.store.replace("t", bytes("onE"), bytes("two"), soon()), false);
    assert.equal(await dataOf(host, "t"), "one");
    const expiry = later();
    assert.equal(await host.store.replace("t", bytes("one"), bytes("two"), expiry), true);
    assert.equal(await dataOf(host, "t"), "two");
    assert.equal((await host.store.find("t"))?.expiry.getTime(), expiry.getTime());
  },
  "replace never brings back what is gone or expired": async (host) => {
    assert.equal(await host.store.replace("t", bytes("one"), bytes("two"), soon()), false);
    await host.store.save("t", bytes("one"), soon());
    await host.expire("t");
    assert.equal(await host.store.replace("t", bytes("one"), bytes("two"), soon()), false);
    assert.equal(await host.store.find("t"), undefined);
  },
  "of many parallel replaces one wins": async (host) => {
    await host.store.save("t", bytes("start"), soon());
    const attempts = Array.from({ length: 20 }, (_, n) =>
      host.store.replace("t", bytes("start"), bytes(`won by ${n}`), soon()),
    );
    const wins = await Promise.all(attempts);
    assert.equal(wins.filter(Boolean).length, 1);
    assert.equal(await dataOf(host, "t"), `won by ${wins.indexOf(true)}`);
  },
  "renew ends the old row and inserts the new one": async (host) => {
    await host.store.save("old", bytes("one"), soon());
    const expiry = later();
    assert.equal(await host.store.renew("old", "new", bytes("one"), bytes("two"), expiry), true);
    assert.equal(await host.store.find("old"), undefined);
    assert.equal(await dataOf(host, "new"), "two");
    assert.equal((await host.store.find("new"))?.expiry.getTime(), expiry.getTime());
  },
  "renew changes nothing when the bytes are others, the row gone or expired, or the new token taken": async (host) => {
    const { store } = host;
    assert.equal(await store.renew("old", "new", bytes("one"), bytes("two"), soon()), false);
    await store.save("old", bytes("one"), soon());
    assert.equal(await store.renew("old", "new", bytes("other"), bytes("two"), soon()), false);
    await store.save("taken", bytes("theirs"), soon());
    assert.equal(await store.renew("old", "taken", bytes("one"), bytes("two"), soon()), false);
    assert.equal(await dataOf(host, "taken"), "theirs");
    assert.equal(await dataOf(host, "old"), "one");
    await host.expire("old");
    assert.equal(await store.renew("old", "new", bytes("one"), bytes("two"), soon()), false);
    assert.equal(await store.find("new"), undefined);
  },
  "of many parallel renewals one wins": async (host) => {
    await host.store.save("old", bytes("one"), soon());
    const wins = await Promise.all(
      Array.from({ length: 20 }, (_, n) => host.store.renew("old", `new ${n}`, bytes("one"), bytes("two"), soon())),
    );
    assert.equal(wins.filter(Boolean).length, 1);
    for (const [n, won] of wins.entries()) assert.equal((await host.store.find(`new ${n}`)) !== undefined, won);
  },
  "touch moves the expiry forward only and leaves the data": async (host) => {
    const [first, second] = [soon(), later()];
    await host.store.save("t", bytes("data"), first);
    assert.equal(await host.store.touch("t", second), true);
    assert.equal((await host.store.find("t"))?.expiry.getTime(), second.getTime());
    await host.store.touch("t", first);
    assert.equal((await host.store.find("t"))?.expiry.getTime(), second.getTime());
    assert.equal(await dataOf(host, "t"), "data");
  },
  "touch moves the expiry of what holds the given bytes only": async ({ store }) => {
    await store.create("t", bytes("one"), soon());
    await store.create("u", bytes("one"), soon());
    const before = (await store.find("t"))?.expiry;
    const tries = await Promise.all([
      store.touch("t", later(), { unchanged: bytes("other") }),
      store.touch("u", later(), { unchanged: bytes("one") }),
    ]);
    assert.deepEqual(tries, [false, true]);
    assert.deepEqual((await store.find("t"))?.expiry, before);
    assert.ok(((await store.find("u"))?.expiry ?? 0) > (before ?? 0));
    assert.equal(await store.touch("t", later(), { unchanged: bytes("one") }), true);
    assert.equal(await store.touch("t", later(), { unchanged: new Uint8Array() }), false);
    assert.equal(await store.touch("absent", later(), { unchanged: bytes("one") }), false);
  },
  "touch never brings back what is gone or expired": async (host) => {
    assert.equal(await host.store.touch("t", later()), false);
    await host.store.save("t", bytes("data"), soon());
    await host.expire("t");
    assert.equal(await host.store.touch("t", later()), false);
    assert.equal(await host.store.find("t"), undefined);
  },
  "upsert inserts and overwrites": async (host) => {
    assert.equal(await host.store.upsert("t", bytes("one"), later()), true);
    const expiry = soon();
    assert.equal(await host.store.upsert("t", bytes("two"), expiry), true);
    assert.equal(await dataOf(host, "t"), "two");
    assert.equal((await host.store.find("t"))?.expiry.getTime(), expiry.getTime());
  },
  "update overwrites a live row, whatever it holds": async (host) => {
    await host.store.save("t", bytes("one"), later());
    const expiry = soon();
    assert.equal(await host.store.update("t", bytes("two"), expiry), true);
    assert.equal(await dataOf(host, "t"), "two");
    assert.equal((await host.store.find("t"))?.expiry.getTime(), expiry.getTime());
  },
  "update leaves what is missing, expired or ended": async ({ store, expire }) => {
    assert.equal(await store.update("missing", bytes("one"), soon()), false);
    await store.save("past", bytes("one"), soon());
    await expire("past");
    assert.equal(await store.update("past", bytes("two"), soon()), false);
    await store.save("ended", bytes("one"), soon());
    await store.end("ended");
    assert.equal(await store.update("ended", bytes("two"), soon()), false);
    for (const token of ["missing", "past", "ended"]) assert.equal(await store.find(token), undefined);
  },
  "upsert takes over an expired row": async (host) => {
    await host.store.save("t", bytes("one"), soon());
    await host.expire("t");
    assert.equal(await host.store.upsert("t", bytes("two"), soon()), true);
    assert.equal(await dataOf(host, "t"), "two");
  },
  "what was ended is absent, and only save brings it back": async (host) => {
    const { store } = host;
    await store.save("t", bytes("one"), soon());
    assert.equal(await store.end("t"), true);
    assert.equal(await store.find("t"), undefined);
    assert.equal(await store.upsert("t", bytes("two"), soon()), false);
    assert.equal(await store.touch("t", later()), false);
    assert.equal(await store.setExpiry("t", later()), false);
    assert.equal(await store.create("t", bytes("two"), soon()), false);
    assert.equal(await store.replace("t", bytes("one"), bytes("two"), soon()), false);
    assert.equal(await store.renew("t", "new", bytes("one"), bytes("two"), soon()), false);
    assert.equal(await store.find("t"), undefined);
    assert.equal(await store.count(), 0);
    for await (const { id: token } of store.all()) assert.fail(token);
    await store.save("t", bytes("two"), soon());
    assert.equal(await dataOf(host, "t"), "two");
  },
  "lookUp tells why a session was ended, and that from what never was and what has expired": async (host) => {
    const { store } = host;
    assert.equal(await store.lookUp?.("t"), undefined);
    await store.save("t", bytes("one"), soon());
    assert.deepEqual(await store.lookUp?.("t"), await store.find("t"));
    await host.expire("t");
    assert.equal(await store.lookUp?.("t"), undefined);
    await store.end("t");
    assert.equal(await store.lookUp?.("t"), "destroyed");
    await store.save("old", bytes("one"), soon());
    assert.equal(await store.renew("old", "new", bytes("one"), bytes("two"), soon()), true);
    assert.equal(await store.lookUp?.("old"), "replaced");
    assert.equal(await store.upsert("old", bytes("one"), soon()), false);
    await store.delete("old");
    assert.equal(await store.lookUp?.("old"), undefined);
    await store.terminate("new", "revoked");
    assert.equal(await store.lookUp?.("new"), "revoked");
    assert.equal(await store.upsert("new", bytes("one"), soon()), false);
    await host.expire("new");
    assert.equal(await store.deleteExpired(), 0);
  },
  "terminate ends what a session goes on as, wherever renewals have led": async ({ store }) => {
    for (const why of ["destroyed", "revoked"] as const) {
      const names = [why, `${why} é`, `${why} "\\'`, `${why} last`] as const;
      await store.save(names[0], bytes("0"), soon());
      for (let n = 1; n < names.length; n++) {
        assert.equal(
          await store.renew(names[n - 1] ?? "", names[n] ?? "", bytes(`${n - 1}`), bytes(`${n}`), soon()),
          true,
        );
      }
      for (const name of names) assert.equal(await store.follow(name), names[3]);
      await store.save("other", bytes("data"), soon());
      assert.equal(await store.terminate(names[0], why), names[3]);
      assert.equal(await store.find(names[3]), undefined);
      assert.equal(await store.lookUp?.(names[3]), why);
      assert.equal(await store.lookUp?.(names[1]), "replaced");
      for (const name of names) {
        assert.equal(await store.terminate(name, why), undefined);
        assert.equal(await store.follow(name), undefined);
      }
      assert.equal((await store.find("other"))?.data.length, 4);
    }
    assert.equal(await store.terminate("nothing", "revoked"), undefined);
    assert.equal(await store.follow("nothing"), undefined);
  },
  "terminate ends no session that has expired": async (host) => {
    const { store } = host;
    await store.save("t", bytes("data"), soon());
    await host.expire("t");
    assert.equal(await store.terminate("t", "revoked"), undefined);
    await store.save("t", bytes("data"), soon());
    assert.equal(await store.terminate("t", "revoked"), "t");
  },
  "a revoked session is superseded once, and leads to the login then": async ({ store }) => {
    for (const name of ["revoked", "destroyed"] as const) {
      await store.save(name, bytes("data"), soon());
      assert.equal(await store.supersede(name, "login"), false);
      await store.terminate(name, name);
    }
    await store.save("login", bytes("data"), soon());
    assert.equal(await store.supersede("destroyed", "login"), false);
    assert.equal(await store.supersede("nothing", "login"), false);
    assert.equal(await store.supersede("revoked", "login"), true);
    assert.equal(await store.supersede("revoked", "again"), false);
    assert.equal(await store.lookUp?.("revoked"), "replaced");
    assert.equal(await store.follow("revoked"), "login");
  },
  "a live session may have no bytes": async ({ store }) => {
    await store.save("t", bytes(""), later());
    assert.equal((await store.find("t"))?.data.length, 0);
    assert.equal(await store.touch("t", later()), true);
    assert.equal(await store.replace("t", bytes(""), bytes(""), later()), true);
    assert.equal(await store.end("t"), true);
    assert.equal(await store.find("t"), undefined);
  },
  "a touch that has waited for the end of a session does not bring it back": async ({ store }) => {
    for (let round = 0; round < 20; round++) {
      await store.save("t", bytes("one"), soon());
      const touches = Array.from({ length: 5 }, () => store.touch("t", later()));
      const finds = Array.from({ length: 5 }, () => store.find("t"));
      await Promise.all([
        ...touches,
        store.end("t"),
        ...finds,
        store.touch("t", later()),
        store.setExpiry("t", later()),
      ]);
      for (const found of await Promise.all(finds)) assert.notEqual(found?.data.length, 0);
      assert.equal(await store.find("t"), undefined);
      assert.equal(await store.lookUp?.("t"), "destroyed");
    }
  },
  "end says whether there was something to end": async ({ store, ...host }) => {
    assert.equal(await store.end("t"), false);
    assert.equal(await store.upsert("t", bytes("one"), soon()), true);
    assert.equal(await store.end("t"), true);
    assert.equal(await store.end("t"), false);
    await store.save("late", bytes("one"), soon());
    await host.expire("late");
    assert.equal(await store.end("late"), true);
    assert.equal(await store.upsert("late", bytes("two"), soon()), false);
  },
  "deleteExpired keeps what was ended for a while": async (host) => {
    await host.store.save("t", bytes("one"), soon());
    await host.store.end("t");
    await host.expire("t");
    assert.equal(await host.store.deleteExpired(), 0);
    assert.equal(await host.store.upsert("t", bytes("two"), soon()), false);
  },
  "setExpiry moves the expiry of a live row, forward and back": async (host) => {
    const { store } = host;
    assert.equal(await store.setExpiry("t", later()), false);
    await store.save("t", bytes("data"), soon());
    for (const expiry of [later(), soon()]) {
      assert.equal(await store.setExpiry("t", expiry), true);
      assert.equal((await store.find("t"))?.expiry.getTime(), expiry.getTime());
    }
    assert.equal(await dataOf(host, "t"), "data");
    await host.expire("t");
    assert.equal(await store.setExpiry("t", later()), false);
    assert.equal(await store.find("t"), undefined);
  },
  "count counts the live rows": async (host) => {
    await Promise.all(["a", "b", "c", "d"].map((token) => host.store.save(token, bytes(token), soon())));
    await host.expire("a");
    await host.store.end("b");
    assert.equal(await host.store.count(), 2);
  },
  "all lists the live rows, across pages": async (host) => {
    const count = 2100;
    const tokens = Array.from({ length: count }, (_, n) => `t${n}`);
    await Promise.all(tokens.map((token) => host.store.save(token, bytes(token), soon())));
    await host.expire("t7");
    const seen = new Set<string>();
    for await (const { id: token, data, expiry } of host.store.all()) {
      assert.equal(new TextDecoder().decode(data), token);
      assert.ok(expiry.getTime() > Date.now());
      seen.add(token);
    }
    assert.equal(seen.size, count - 1);
    assert.ok(!seen.has("t7"));
  },
  "deleteExpired removes what has expired, and nothing else": async (host) => {
    const tokens = Array.from({ length: 30 }, (_, n) => `t${n}`);
    await Promise.all(tokens.map((token) => host.store.save(token, bytes(token), soon())));
    for (const token of tokens.slice(0, 10)) await host.expire(token);
    assert.equal(await host.store.deleteExpired(), 10);
    assert.equal(await host.store.deleteExpired(), 0);
    for (const token of tokens.slice(10)) assert.equal(await dataOf(host, token), token);
    assert.equal(await host.store.create("t0", bytes("again"), soon()), true);
  },
  "now tells the store's time": async ({ store }) => {
    assert.ok(Math.abs(((await store.now?.()) ?? 0) - Date.now()) < 60_000);
  },
  "stopCleanup and close are idempotent": async ({ store }) => {
    store.stopCleanup();
    store.stopCleanup();
    await store.close();
    await store.close();
    store.stopCleanup();
  },
};
