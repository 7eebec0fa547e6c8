import { randomBytes } from "node:crypto";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { removeBundles } from "./bundle.ts";
import { PgStore } from "../../src/index.ts";
import { type PostgresServer, startPostgres } from "./postgres-server.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A database on which tests may create others. */
    databaseUrl: string;
    /** The name of the database that tests clone. No connection to it may be open. */
    templateDatabase: string;
    /**
     * The role of the tests' connections, with PGSTORE_TEST_ROLE=restricted. Undefined: the administrator of
     * `databaseUrl`.
     */
    restrictedRole: string | undefined;
  }
}

/** The README's table. */
export const SCS_TABLE = `
  CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
  CREATE INDEX sessions_expiry_idx ON sessions (expiry);
`;

/**
 * Makes a role with only the rights that the README says the program needs, on tables that the administrator makes.
 * Each clone has these rights.
 */
const grants = (role: string): string => `
  CREATE ROLE ${role} LOGIN PASSWORD '${role}' NOSUPERUSER NOCREATEDB NOCREATEROLE;
  REVOKE ALL ON SCHEMA public FROM PUBLIC;
  GRANT USAGE ON SCHEMA public TO ${role};
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role};
  ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ${role};
  ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${role};
`;

/**
 * Starts PostgreSQL for the whole run, unless TEST_DATABASE_URL names one, and makes the database to clone. With
 * PGSTORE_TEST_ROLE=restricted it also makes the role that the tests run as.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TEST_DATABASE_URL"];
  const server: PostgresServer | undefined = given ? undefined : await startPostgres();
  const url = server?.url ?? given ?? "";
  const template = `pgstore_template_${randomBytes(6).toString("hex")}`;
  const role = roleOf(process.env["PGSTORE_TEST_ROLE"]);
  const teardown = async (): Promise<void> => {
    removeBundles();
    // A server that this run has started is removed as a whole.
    if (server !== undefined) return server.stop();
    await run(url, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    if (role !== undefined) await run(url, `DROP ROLE IF EXISTS ${role}`);
  };
  try {
    await run(url, `CREATE DATABASE ${template}`);
    const templateUrl = new URL(url);
    templateUrl.pathname = template;
    await run(templateUrl.href, SCS_TABLE);
    await migrate(templateUrl.href);
    if (role !== undefined) await run(templateUrl.href, grants(role));
  } catch (error) {
    await teardown().catch(() => {});
    throw error;
  }
  project.provide("databaseUrl", url);
  project.provide("templateDatabase", template);
  project.provide("restrictedRole", role);
  return teardown;
}

function roleOf(asked: string | undefined): string | undefined {
  if (!asked) return undefined;
  if (asked !== "restricted") throw new Error(`PGSTORE_TEST_ROLE: ${asked} is not "restricted"`);
  return `pgstore_restricted_${randomBytes(6).toString("hex")}`;
}

async function migrate(url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  await new PgStore(pool, { cleanupInterval: 0 }).migrate();
  await pool.end();
}

async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
