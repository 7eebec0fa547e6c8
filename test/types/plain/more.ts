import { MemoryStore, type Session, SessionManager, type Value } from "pgstore";

/** More kinds of data. `../loose` compiles this file without `strict`, as older generators set it. */
enum Level {
  Low,
  High = "high",
}

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

type Nested = Leaf | Nested[] | { [key: string]: Nested };

interface Leaf {
  leaf: string;
  parents?: Nested[];
}

interface Node<T> {
  value: T;
  next?: Node<T>;
}

interface Data {
  level: Level;
  value: Value;
  json: Json;
  node: Node<string | null>;
  nestedLeaves: Nested;
  bytes: Buffer;
  partial: Partial<{ a: string; b: Date }>;
  tuple: [string, number?];
  rest: readonly [string, ...number[]];
  nested: Record<string, Record<string, unknown>>;
  any: any;
  object: object;
  empty: Record<never, never>;
  key: `id-${number}`;
  either: { kind: "a"; a: string } | { kind: "b"; b: bigint };
  optional?: string | null;
}

const manager = new SessionManager<Data>(new MemoryStore(), { idleTimeout: "20m" });

export async function fill(): Promise<Session<Data>> {
  const session = await manager.load();
  session
    .set("level", Level.High)
    .set("node", { value: "a", next: { value: null } })
    .set("tuple", ["a"]);
  session
    .set("bytes", Buffer.from("a"))
    .set("json", { a: [1, null] })
    .set("value", { a: [1n, new Date()] });
  session.set("either", { kind: "b", b: 1n }).set("partial", {}).set("key", "id-1").set("optional", null);
  session.update("nested", (nested = {}) => ({ ...nested, a: { b: 1 } }));
  // @ts-expect-error a mistyped key
  session.set("levle", Level.Low);
  return session;
}

type Wrong = { leaf: () => string } | Wrong[];

// @ts-expect-error functions, at any depth
new SessionManager<{ wrong: Wrong }>(new MemoryStore());
// @ts-expect-error an array of Maps
new SessionManager<{ wrong: readonly { maps: Map<string, number>[] }[] }>(new MemoryStore());
// @ts-expect-error a Map
new SessionManager<{ cart: Map<string, number> }>(new MemoryStore());
