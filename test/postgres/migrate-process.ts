/** Migrates when its parent says so; the exit code says whether that went well. */
import pg from "pg";
import { PgStore } from "../../src/index.ts";

const pool = new pg.Pool({ connectionString: process.env["APP_DATABASE_URL"], max: 1 });
await pool.query("SELECT 1");
process.once("message", () => {
  const store = new PgStore(pool, { table: "at once", schema: "new schema" });
  store
    .migrate()
    .then(() => pool.end())
    .then(
      () => process.disconnect(),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
});
process.send?.("ready");
