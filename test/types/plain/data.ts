import { MemoryStore, Session, SessionManager, type SessionValue } from "pgstore";

/** What a manager's data may hold. */
const store = new MemoryStore();

interface Item {
  sku: string;
  count: number;
  note?: string;
}

interface Tree {
  readonly children: readonly Tree[];
}

type Brand = string & { readonly brand: "user" };

interface Data {
  cart: Item[];
  tree: Tree;
  brand: Brand;
  total: bigint;
  seen: Date;
  photo: Uint8Array;
  nothing: null;
  counts: Record<string, number>;
  pair: readonly [string, number];
  size: "s" | "m" | "l";
  anything: unknown;
  loose?: string;
  odd: string | undefined;
}

const manager = new SessionManager<Data>(store);
const session: Session<Data> = await manager.load();

const cart: Item[] | undefined = session.get("cart");
session.set("cart", [...(cart ?? []), { sku: "A-1", count: 1 }]).set("size", "m");
session
  .set("tree", { children: [{ children: [] }] })
  .set("pair", ["a", 1])
  .set("seen", new Date());
session.set("loose", "text").set("odd", "text").set("anything", 1);
session.update("counts", (counts = {}) => ({ ...counts, a: 1 }));
const item: SessionValue<Data, "size"> = "l";
session.set("size", item);

// @ts-expect-error a mistyped key
session.set("crat", []);
// @ts-expect-error a wrong value
session.set("size", "xl");
// @ts-expect-error a session can't hold undefined: delete the key
session.set("loose", undefined);
// @ts-expect-error as well
session.set("odd", undefined);
// @ts-expect-error a wrong value of a step
session.update("total", (total = 0n) => Number(total) + 1);

// Without a declaration, any key and value.
const free = await new SessionManager(store).load();
free.set("any key", cart);

class Money {
  amount = 1;
  add(): void {}
}

// @ts-expect-error a Map
new SessionManager<{ cart: Map<string, number> }>(store);
// @ts-expect-error a Set inside
new SessionManager<{ cart: { items: Set<string> }[] }>(store);
// @ts-expect-error a function
new SessionManager<{ render: () => string }>(store);
// @ts-expect-error an instance of a class
new SessionManager<{ money: Money }>(store);
// @ts-expect-error a symbol
new SessionManager<{ key: symbol }>(store);
// @ts-expect-error undefined inside
new SessionManager<{ user: { name: string | undefined } }>(store);
// @ts-expect-error one of several
new SessionManager<{ name: string; cart?: string | Map<string, number> }>(store);
// @ts-expect-error an array of promises
new SessionManager<{ later: Promise<string>[] }>(store);
