import { createHash } from "node:crypto";

/** Bytes of data in a row, whoever stores it. */
export const ROW_BYTES = 200;

/** What express-session adds to the application's own values in every session. */
export const COOKIE = { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };

/** Room for text in a session of ROW_BYTES of JSON. */
const JSON_TEXT = ROW_BYTES - JSON.stringify({ cookie: COOKIE, text: "" }).length;

/** The key of row `n`: it looks like a session's id. */
export function keyOf(n: number): string {
  return createHash("sha256").update(`session ${n}`).digest("base64url");
}

/** The data of row `n` after it was saved for the `version`th time. */
export function textOf(n: number, version: number): string {
  return `session ${n} ${version} `.padEnd(ROW_BYTES, "x");
}

/** The same for stores that keep JSON, so that a row has as many bytes. */
export function jsonTextOf(n: number, version: number): string {
  return `session ${n} ${version} `.padEnd(JSON_TEXT, "x");
}

const sqlKey = (n: string): string => `translate(encode(sha256(('session ' || ${n})::bytea), 'base64'), '+/=', '-_')`;

/** Fills a table of pgstore's layout with rows `from` to `to` - 1 of version 0. */
export function fillSql(
  table: string,
  from: number,
  to: number,
  expiry = "now() + interval '1 day' + n * interval '1 ms'",
): string {
  return `INSERT INTO ${table} (token, data, expiry)
    SELECT ${sqlKey("n")}, rpad('session ' || n || ' 0 ', ${ROW_BYTES}, 'x')::bytea, ${expiry}
    FROM generate_series(${from}, ${to - 1}) n`;
}

/** Fills connect-pg-simple's table with rows 0 to `count` - 1 of version 0. */
export function fillSessSql(table: string, count: number): string {
  const head = JSON.stringify({ cookie: COOKIE, text: "" }).slice(0, -2);
  return `INSERT INTO ${table} (sid, sess, expire)
    SELECT ${sqlKey("n")}, ('${head}' || rpad('session ' || n || ' 0 ', ${JSON_TEXT}, 'x') || '"}')::json,
      now() + interval '1 day'
    FROM generate_series(0, ${count - 1}) n`;
}
