import type pg from "pg";
import { ROW_BYTES } from "../rows.ts";

/** A user with very many sessions, and how many. */
export const BUSY = { userId: "busy@example.com", sessions: 10_000 };

/** Sessions of one user, of those who have any. */
const EACH = 3;
const CHUNK = 250_000;
/** Share of the rows that have expired and wait for the cleanup. */
const EXPIRED = 0.02;

/**
 * Fills the table: half of the sessions are of users, with three each and one with 10,000; their ends spread over a day, and
 * some are past. A history of eight days, a line for every five minutes.
 *
 * @param onProgress - gets the number of rows so far
 */
export async function fill(pool: pg.Pool, rows: number, onProgress: (rows: number) => void): Promise<void> {
  for (let from = 0; from < rows; from += CHUNK) {
    await pool.query(insertSql, [from, Math.min(from + CHUNK, rows) - 1, rows, EXPIRED, EACH]);
    onProgress(Math.min(from + CHUNK, rows));
  }
  await pool.query(
    `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen, ip, user_agent)
     SELECT translate(encode(sha256(('busy ' || n)::bytea), 'base64'), '+/=', '-_'), rpad('busy ' || n, ${ROW_BYTES}, 'x')::bytea,
       now() + interval '1 day', $1, now() - n * interval '1 minute', now(), '192.0.2.1', 'curl/8.14.1'
     FROM generate_series(1, $2::int) n`,
    [BUSY.userId, BUSY.sessions],
  );
  await pool.query(
    "INSERT INTO sessions_users (user_id, last_login) SELECT user_id, max(created) FROM sessions WHERE user_id IS NOT NULL GROUP BY 1",
  );
  await pool.query(
    `INSERT INTO sessions_history (at, created, ended, removed, cleaned, took, live, users)
     SELECT at, 500, 200, 300, at, 40, $1::bigint, $1::bigint / 6
     FROM generate_series(date_trunc('minute', now()) - interval '8 days', now(), interval '5 minutes') at`,
    [rows],
  );
  await pool.query("VACUUM ANALYZE");
}

const insertSql = `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen, ip, user_agent)
  SELECT translate(encode(sha256(('session ' || n)::bytea), 'base64'), '+/=', '-_'),
    rpad('session ' || n, ${ROW_BYTES}, 'x')::bytea,
    now() + interval '1 day' * ((n * 7919 % $3::bigint)::float8 / $3::bigint - $4::float8),
    CASE WHEN n % 2 = 0 THEN 'user' || n / 2 / $5::bigint || '@example.com' END,
    CASE WHEN n % 2 = 0 THEN now() - interval '1 hour' * (n % 20) END, now(), '192.0.2.1', 'curl/8.14.1'
  FROM generate_series($1::bigint, $2::bigint) n`;
