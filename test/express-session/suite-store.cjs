// Stands in for express-session's own MemoryStore while its suite runs (suite.ts): each of them a table of its own.
const { ExpressSessionStore } = require(process.env.SUITE_LIBRARY);
const { Pool } = require(process.env.SUITE_PG);

const layout = process.env.SUITE_LAYOUT;
const columns = {
  pgstore: "token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL",
  "connect-pg-simple": "sid varchar PRIMARY KEY, sess json NOT NULL, expire timestamp(6) NOT NULL",
}[layout];
const pool = new Pool({ connectionString: process.env.SUITE_URL, max: 5, connectionTimeoutMillis: 5000 });
pool.on("error", () => {});
let made = 0;

module.exports = class MemoryStore extends ExpressSessionStore {
  constructor() {
    const table = `sessions_${process.pid}_${made++}`;
    const ready = pool.query(`CREATE TABLE ${table} (${columns})`);
    super({
      pool: { query: (text, values) => ready.then(() => pool.query(text, values)) },
      layout,
      table,
      cleanupInterval: 0,
    });
  }
};
