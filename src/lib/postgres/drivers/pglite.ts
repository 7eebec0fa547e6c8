import type { Driver, Row } from "./driver.ts";
import { lookedAtLate, placedDriver, upTo } from "./places.ts";

/** A parameter that is read when the statement is sent. */
type Late = () => unknown;

/** The members of a PGlite that pgstore uses. */
interface PGlite {
  query(text: string, values: Late[], options: typeof AS_IT_IS): Promise<{ rows: unknown[] }>;
}

/** PostgreSQL's oids of text and text[]. */
const TEXT = 25;
const TEXT_ARRAY = 1009;

/** Bypasses the application's parsers and serializers, as each column and parameter is text. */
const AS_IT_IS = {
  parsers: { [TEXT]: asItIs },
  serializers: { [TEXT]: (late: Late) => late(), [TEXT_ARRAY]: (late: Late) => late() },
};

export function isPGlite(db: object): db is PGlite {
  return "execProtocolRaw" in db && "runExclusive" in db;
}

/** Makes a driver for a PGlite, which runs one statement at a time. */
export function pglite(db: PGlite): Driver {
  return placedDriver(db, upTo(1), async (errand, load, timeout) => {
    // The statement may have to wait for a transaction of the application.
    const { rows } = await db.query(errand.text, lookedAtLate(errand, load, timeout), AS_IT_IS);
    return rows as Row[];
  });
}

function asItIs(text: string): string {
  return text;
}
