import type { Driver, Row } from "./driver.ts";

/** What of a PGlite is used. */
interface PGlite {
  query(text: string, values: unknown[], options: typeof AS_IT_IS): Promise<{ rows: unknown[] }>;
}

/** Types of PostgreSQL: text, and an array of it. */
const TEXT = 25;
const TEXT_ARRAY = 1009;

/** Every column that we select and every parameter is text: no parser or serializer of the application's has a say. */
const AS_IT_IS = { parsers: { [TEXT]: asItIs }, serializers: { [TEXT]: asItIs, [TEXT_ARRAY]: asItIs } };

export function isPGlite(db: object): db is PGlite {
  return "execProtocolRaw" in db && "runExclusive" in db;
}

/** Makes a driver of a PGlite: a database of this process alone, which runs one statement at a time. */
export function pglite(db: PGlite): Driver {
  return {
    prepares: false,
    run: async ({ text }, values) => (await db.query(text, values, AS_IT_IS)).rows as Row[],
    leading: async (_name, _timeout, work) => {
      await work();
    },
  };
}

function asItIs(text: string): string {
  return text;
}
