import type { Pool } from "pg";

/** The user whose sessions are looked at. */
export const ADA = "ada@example.com";

const DEVICES: [ip: string, userAgent: string, minutes: number][] = [
  ["192.0.2.17", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 2],
  [
    "198.51.100.4",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    41,
  ],
  [
    "2001:db8::7f3a",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    660,
  ],
  ["203.0.113.90", "curl/8.14.1", 1290],
  [
    "2001:0db8:85a3:1319:8a2e:0370:7344:abcd",
    "AcmeSyncAgent/12.4.1-nightly+20260714.sha.5114f85 (enterprise-edition; build=x86_64-unknown-linux-gnu; like curl)",
    1380,
  ],
];

/** A shop at some time of the day: two thousand sessions, seven hundred users, and the history of a week. */
export async function fill(pool: Pool): Promise<void> {
  await pool.query(
    `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen, ip, user_agent)
     SELECT replace(replace(rtrim(encode(sha256(n::text::bytea), 'base64'), '='), '+', '-'), '/', '_'), convert_to(repeat('x', 400), 'UTF8'),
       current_timestamp + (ARRAY[4, 11, 11, 40, 40, 40, 40, 190, 190, 190, 190, 190, 190, 800, 800, 800, 800, 800, 2000, 2000, 9000])[1 + n % 21] * interval '1 minute',
       CASE WHEN n % 5 < 3 THEN (ARRAY['alan', 'barbara', 'edsger', 'frances', 'grace', 'john', 'karen', 'margaret'])[1 + n % 8]
         || '.' || lpad((n % 89)::text, 3, '0') || '@example.com' END,
       CASE WHEN n % 5 < 3 THEN current_timestamp - n * interval '40 seconds' END, current_timestamp - n * interval '9 seconds',
       CASE n % 3 WHEN 0 THEN '2001:db8:' || to_hex(n) || ':7f3a:9c1:88ff:fe21:' || to_hex(n % 97) ELSE '192.0.2.' || n % 250 END, 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
     FROM generate_series(1, 2100) n`,
  );
  await pool.query(
    `INSERT INTO sessions_users (user_id, last_login)
     SELECT user_id, max(created) FROM sessions WHERE user_id IS NOT NULL GROUP BY 1`,
  );
  await pool.query(
    "INSERT INTO sessions_users (user_id, last_login) VALUES ($1, current_timestamp - interval '2 minutes')",
    [ADA],
  );
  for (const [ip, userAgent, minutes] of DEVICES) {
    await pool.query(
      `INSERT INTO sessions (token, data, expiry, user_id, created, last_seen, ip, user_agent)
       VALUES (replace(replace(rtrim(encode(sha256(convert_to($2, 'UTF8')), 'base64'), '='), '+', '-'), '/', '_'), 'x', current_timestamp + interval '1 day' - $4 * interval '1 minute', $1,
         current_timestamp - $4 * interval '1 minute', current_timestamp - $4 / 3 * interval '1 minute', $3, $2)`,
      [ADA, userAgent, ip, minutes],
    );
  }
  await pool.query(
    `INSERT INTO sessions (token, data, expiry)
     SELECT 'expired' || n, 'x', current_timestamp - interval '1 hour' FROM generate_series(1, 140) n`,
  );
  // A day has a night; the random part is the same each time.
  await pool.query(
    `INSERT INTO sessions_history (at, created, ended, removed, cleaned, took, live, users)
     SELECT at, 30 + 120 * day + 23 * noise, 12 + 50 * day + 17 * noise, 20 + 60 * late + 21 * noise, at, 30 + 40 * noise,
       700 + 1600 * late + 60 * noise, 260 + 520 * late + 20 * noise
     FROM (SELECT current_timestamp - interval '3 minutes' - n * interval '5 minutes' AS at, power(sin(pi() * (n + 128) / 288), 2) AS day,
         power(sin(pi() * (n + 110) / 288), 2) AS late, (n * 7919 % 101) / 100.0 AS noise
       FROM generate_series(0, 2010) n) AS week`,
  );
}
