import { execFileSync } from "node:child_process";
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { onTestFinished } from "vitest";
import { type PostgresServer, startPostgres } from "../support/postgres-server.ts";

/**
 * Starts a standby of a server: a copy of its folder that follows it.
 *
 * @param port - where it reaches the server
 */
export async function standbyOf(server: PostgresServer, port = server.port): Promise<PostgresServer> {
  const standby = await startPostgres();
  onTestFinished(() => standby.stop());
  await standby.kill();
  rmSync(standby.dataDir, { recursive: true, force: true });
  const client = new pg.Client(server.url);
  await client.connect();
  await client.query("SELECT pg_backup_start('standby', true)");
  cpSync(server.dataDir, standby.dataDir, {
    recursive: true,
    filter: (path) => !/postmaster\.(?:pid|opts)$/.test(path),
  });
  const { rows } = await client.query<{ labelfile: string }>(
    "SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)",
  );
  await client.end();
  writeFileSync(join(standby.dataDir, "backup_label"), rows[0]?.labelfile ?? "");
  writeFileSync(join(standby.dataDir, "standby.signal"), "");
  const settings = [`primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres'`, "hot_standby = on"];
  writeFileSync(join(standby.dataDir, "postgresql.auto.conf"), `${settings.join("\n")}\n`);
  if (process.getuid?.() === 0) execFileSync("chown", ["-R", "nobody", standby.dataDir]);
  execFileSync("chmod", ["700", standby.dataDir]);
  await standby.restart("fast");
  return standby;
}
