import type { Driver, Row } from "./driver.ts";
import { lookedAtLate, perClient, Places } from "./places.ts";

/** A parameter, looked at when the statement is sent. */
type Late = () => unknown;

/** What of a PGlite is used. */
interface PGlite {
  query(text: string, values: Late[], options: typeof AS_IT_IS): Promise<{ rows: unknown[] }>;
}

/** Types of PostgreSQL: text, and an array of it. */
const TEXT = 25;
const TEXT_ARRAY = 1009;

/** Every column that we select and every parameter is text: no parser or serializer of the application's has a say. */
const AS_IT_IS = {
  parsers: { [TEXT]: asItIs },
  serializers: { [TEXT]: (late: Late) => late(), [TEXT_ARRAY]: (late: Late) => late() },
};

export function isPGlite(db: object): db is PGlite {
  return "execProtocolRaw" in db && "runExclusive" in db;
}

const placesOf = perClient(() => Places.one());

/** Makes a driver of a PGlite: a database of this process alone, which runs one statement at a time. */
export function pglite(db: PGlite): Driver {
  const places = placesOf(db);
  return {
    prepares: false,
    run: (errand, timeout) =>
      places.run(errand, timeout, async (load) => {
        // It may be in a transaction of the application's, and our statement behind that.
        const { rows } = await db.query(errand.text, lookedAtLate(errand, load, timeout), AS_IT_IS);
        return rows as Row[];
      }),
  };
}

function asItIs(text: string): string {
  return text;
}
