import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Codec, MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { GatedStore } from "../support/gated-store.ts";

type Cart = { items: string[] };
interface Data {
  cart: Cart;
  list: Cart;
  theme: string;
}
type AnySession = Session<Data>;

async function stored(store = new MemoryStore({ cleanupInterval: 0 })) {
  const manager = new SessionManager<Data>(store);
  const first = await manager.load();
  first.set("cart", { items: ["a"] });
  first.set("list", { items: [] });
  await manager.commit(first);
  return { store, manager, session: await manager.load(first.token) };
}

/** Another request of the session stores another key, so that the next write of ours finds that it was not the first. */
async function rival(manager: SessionManager<Data>, session: AnySession): Promise<void> {
  const other = await manager.load(session.token);
  other.set("theme", "dark");
  await manager.commit(other);
}

describe("an object that is changed in place", () => {
  const renewals: Record<string, (session: AnySession) => Promise<void>> = {
    login: (session) => session.login("ada"),
    renewToken: (session) => session.renewToken(),
  };
  for (const [name, renew] of Object.entries(renewals)) {
    it(`after a ${name} is stored, whatever another request has stored before that`, async () => {
      const { manager, session } = await stored();
      const cart = session.get("cart") as Cart;
      await rival(manager, session);
      await renew(session);
      cart.items.push("b");
      expect(session.get("cart")).toBe(cart);
      await manager.commit(session);
      const after = await manager.load(session.token);
      expect([after.get("cart"), after.get("theme")]).toEqual([{ items: ["a", "b"] }, "dark"]);
    });
  }

  it("counts although another request has stored the same key since: the last one to commit wins", async () => {
    const { manager, session } = await stored();
    const cart = session.get("cart") as Cart;
    const other = await manager.load(session.token);
    other.set("cart", { items: ["theirs"] });
    await manager.commit(other);
    await session.renewToken();
    expect(session.get("cart")).toEqual({ items: ["theirs"] });
    cart.items.push("ours");
    await manager.commit(session);
    expect((await manager.load(session.token)).get("cart")).toEqual({ items: ["a", "ours"] });
  });

  it("is what update begins from, and what it returns may be changed, with a conflict and without", async () => {
    for (const isParallel of [false, true]) {
      const { manager, session } = await stored();
      (session.get("cart") as Cart).items.push("b");
      const cart = session.update("cart", (now = { items: [] }) => ({ items: [...now.items, "c"] }));
      cart.items.push("d");
      if (isParallel) await rival(manager, session);
      await manager.commit(session);
      expect((await manager.load(session.token)).get("cart")).toEqual({ items: ["a", "b", "c", "d"] });
    }
  });

  it("is what pop gives, and is gone after it", async () => {
    for (const isParallel of [false, true]) {
      const { manager, session } = await stored();
      const cart = session.get("cart") as Cart;
      cart.items.push("b");
      expect(session.pop("cart")).toBe(cart);
      cart.items.push("c");
      if (isParallel) await rival(manager, session);
      await manager.commit(session);
      expect((await manager.load(session.token)).has("cart")).toBe(false);
    }
  });

  it("is the session's no more once its key was set anew, updated, deleted or cleared", async () => {
    const { manager, session } = await stored();
    const cart = session.get("cart") as Cart;
    session.set("cart", { items: ["new"] });
    cart.items.push("lost");
    const list = session.get("list") as Cart;
    session.update("list", () => ({ items: ["new"] }));
    list.items.push("lost");
    await rival(manager, session);
    await manager.commit(session);
    const again = await manager.load(session.token);
    expect([again.get("cart"), again.get("list")]).toEqual([{ items: ["new"] }, { items: ["new"] }]);
    const [one, other] = [again.get("cart") as Cart, again.get("list") as Cart];
    again.delete("cart");
    again.clear();
    one.items.push("lost");
    other.items.push("lost");
    await manager.commit(again);
    expect((await manager.load(session.token)).keys()).toEqual([]);
  });

  it("while it is being written goes into the next write, also when somebody asks for the status meanwhile", async () => {
    const { store, manager, session } = await stored(new GatedStore());
    const cart = { items: ["a"] };
    session.set("cart", cart);
    const gate = (store as GatedStore).hold();
    const writing = manager.commit(session);
    await gate.arrived;
    cart.items.push("b");
    expect(session.status).toBe("modified");
    gate.release();
    await writing;
    await manager.commit(session);
    expect((await manager.load(session.token)).get("cart")).toEqual({ items: ["a", "b"] });
  });

  it("of a session that has ended does not get into the one that a login begins", async () => {
    const { manager, session } = await stored();
    const cart = session.get("cart") as Cart;
    await (await manager.load(session.token)).destroy();
    await session.login("ada");
    cart.items.push("b");
    await manager.commit(session);
    expect((await manager.load(session.token)).keys()).toEqual([]);
  });

  it("of another user's session does not get into the next one's", async () => {
    const { manager, session } = await stored();
    await session.login("ada");
    const cart = session.get("cart") as Cart;
    await session.login("bob");
    cart.items.push("b");
    await manager.commit(session);
    const after = await manager.load(session.token);
    expect([after.userId, after.keys()]).toEqual(["bob", []]);
  });
});

describe("a value that is changed in place into something that can't be stored", () => {
  /** Knows nothing of what a session can hold, as an application's own may. */
  const careless: Codec = {
    encode: ({ values, deadline }) => new TextEncoder().encode(JSON.stringify([[...values], +deadline])),
    decode: (bytes) => {
      const [values, deadline] = JSON.parse(new TextDecoder().decode(bytes)) as [[string, never][], number];
      return { values: new Map(values), deadline: new Date(deadline) };
    },
  };
  const nested = (): unknown => {
    let value: unknown = 0;
    for (let depth = 0; depth < 20_000; depth++) value = [value];
    return value;
  };
  const faults: Record<string, (cart: Record<string, unknown>) => unknown> = {
    "a cycle": (cart) => (cart["self"] = cart),
    "a cycle further down": (cart) => (cart["items"] = [{ cart }]),
    "nesting deeper": (cart) => (cart["deep"] = nested()),
    "a function": (cart) => (cart["call"] = () => {}),
  };
  for (const [what, spoil] of Object.entries(faults)) {
    for (const codec of what === "a function" ? [undefined] : [undefined, careless]) {
      it(`is a TypeError that names the key: ${what}, ${codec === undefined ? "scsJson" : "another codec"}`, async () => {
        const store = new MemoryStore({ cleanupInterval: 0 });
        const manager = new SessionManager<Record<string, unknown>>(store, codec === undefined ? {} : { codec });
        const first = await manager.load();
        first.set("cart", { items: [] });
        await manager.commit(first);
        const read = (session: typeof first): Record<string, unknown> => session.get("cart") as Record<string, unknown>;
        const written = (session: typeof first): Record<string, unknown> => {
          const cart = { items: [] };
          session.set("cart", cart);
          return cart;
        };
        for (const take of [read, written]) {
          const session = await manager.load(first.token);
          const cart = take(session);
          spoil(cart);
          expect([session.status, session.status]).toEqual(["modified", "modified"]);
          expect(session.get("cart")).toBe(cart);
          for (const attempt of [1, 2]) {
            await expect(manager.commit(session), String(attempt)).rejects.toThrow(/^session key "cart": /);
          }
          expect(() => session.update("cart", (now) => now)).toThrow(/^session key "cart": /);
          // Mended, it can be stored.
          for (const name of Object.keys(cart)) delete cart[name];
          await manager.commit(session);
          expect((await manager.load(first.token)).get("cart")).toEqual({});
        }
      });
    }
  }
});

describe("a program of reads, changes in place and operations", () => {
  type Step = (session: AnySession, held: Cart[]) => unknown;
  const key = fc.constantFrom("cart" as const, "list" as const);
  const letter = fc.constantFrom("x", "y", "z");
  const hold = (held: Cart[], cart: Cart | undefined): void => {
    if (cart !== undefined) held.push(cart);
  };
  const step: fc.Arbitrary<Step> = fc.oneof(
    key.map(
      (name): Step =>
        (session, held) =>
          hold(held, session.get(name)),
    ),
    fc.tuple(fc.nat(20), letter).map(
      ([which, item]): Step =>
        (_, held) =>
          held[which % Math.max(held.length, 1)]?.items.push(item),
    ),
    fc.nat(20).map(
      (which): Step =>
        (_, held) =>
          held[which % Math.max(held.length, 1)]?.items.pop(),
    ),
    fc.tuple(key, letter).map(([name, item]): Step => (session, held) => {
      const cart = { items: [item] };
      session.set(name, cart);
      held.push(cart);
    }),
    fc.tuple(key, letter).map(([name, item]): Step => (session, held) => {
      hold(
        held,
        session.update(name, (cart = { items: [] }) => ({ items: [...cart.items, item] })),
      );
    }),
    key.map(
      (name): Step =>
        (session, held) =>
          hold(held, session.pop(name)),
    ),
    key.map(
      (name): Step =>
        (session) =>
          session.delete(name),
    ),
    fc.constant<Step>((session) => session.clear()),
    fc.constant<Step>((session) => session.status),
    fc.constant<Step>((session) => session.renewToken()),
    fc.constantFrom("ada", "bob").map(
      (user): Step =>
        (session) =>
          session.login(user),
    ),
  );

  async function run(steps: readonly Step[], conflicts: ReadonlySet<number>): Promise<unknown> {
    const { manager, session } = await stored();
    // In place of what a conflict would write: of two logins as two users the second drops it.
    session.set("theme", "dark");
    await manager.commit(session);
    const held: Cart[] = [];
    for (const [index, one] of steps.entries()) {
      if (conflicts.has(index)) await touchByAnother(manager, session);
      await one(session, held);
    }
    if (conflicts.has(steps.length)) await touchByAnother(manager, session);
    await manager.commit(session);
    // A change after the commit belongs to the next one.
    held.at(-1)?.items.push("late");
    await manager.commit(session);
    const after = await manager.load(session.token);
    return { user: after.userId, cart: after.get("cart"), list: after.get("list") };
  }

  async function touchByAnother(manager: SessionManager<Data>, session: AnySession): Promise<void> {
    const other = await manager.load(session.token);
    other.set("theme", String(Math.random()));
    await manager.commit(other);
  }

  it("stores the same with and without conflicts", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 12 }),
        fc.uniqueArray(fc.nat(12), { maxLength: 4 }),
        async (steps, conflicts) => {
          expect(await run(steps, new Set(conflicts))).toEqual(await run(steps, new Set()));
        },
      ),
      { numRuns: 300 },
    );
  });
});
