import { type } from "arktype";
import {
  MemoryStore,
  type OnInvalid,
  type Session,
  SessionManager,
  type SessionOptions,
  type SessionSchema,
} from "pgstore";
import * as v from "valibot";
import { z } from "zod";

/** A schema types the data of its manager. */
const store = new MemoryStore();

interface Item {
  sku: string;
  count: number;
}

export async function check(): Promise<void> {
  const zod = new SessionManager(store, {
    idleTimeout: "20m",
    schema: { cart: z.array(z.object({ sku: z.string(), count: z.number() })), visits: z.number().default(0) },
    onInvalid: "fail",
  });
  const valibot = new SessionManager(store, {
    schema: { cart: v.array(v.object({ sku: v.string(), count: v.number() })), visits: v.optional(v.number(), 0) },
  });
  const arktype = new SessionManager(store, {
    schema: { cart: type({ sku: "string", count: "number" }).array(), visits: type("number") },
    onInvalid: (key, value, issues) => (issues.length > 1 || key === "" ? undefined : value),
  });
  for (const session of [await zod.load(), await valibot.load(), await arktype.load()]) {
    const cart: Item[] | undefined = session.get("cart");
    session.set("cart", [...(cart ?? []), { sku: "A-1", count: 1 }]).update("visits", (visits = 0) => visits + 1);
    // @ts-expect-error a mistyped key
    session.set("crat", []);
    // @ts-expect-error a value of another type
    session.set("visits", "1");
  }
  const lazy = new SessionManager(store, { schema: { visits: z.number() }, lazy: true });
  (await lazy.sessionOf({})).set("visits", 1);
}

interface Data {
  cart: Item[];
  visits?: number;
  other: string;
}

const schema: SessionSchema<Data> = { visits: z.number() };
const onInvalid: OnInvalid = "drop";
const some: SessionManager<Data> = new SessionManager<Data>(store, { schema, onInvalid });
export const session: Promise<Session<Data>> = some.load();
// @ts-expect-error a schema of another type
new SessionManager<Data>(store, { schema: { visits: z.string() } });
// @ts-expect-error a schema of an undeclared key
new SessionManager<Data>(store, { schema: { visit: z.number() } });
// @ts-expect-error no schema
new SessionManager(store, { schema: { visits: Number } });
// @ts-expect-error a session can't hold what the schema returns
new SessionManager(store, { schema: { visits: z.map(z.string(), z.number()) } });

const options: SessionOptions = { lifetime: "1h", schema: undefined };
export const typed: SessionManager<Data> = new SessionManager(store, options);
