import { randomBytes } from "node:crypto";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { type PostgresServer, startPostgres } from "./postgres-server.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A database on which tests may create others. */
    databaseUrl: string;
    /** The name of the database that tests clone; nobody may be connected to it. */
    templateDatabase: string;
  }
}

/** The README's table. */
const SCHEMA = `
  CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
  CREATE INDEX sessions_expiry_idx ON sessions (expiry);
`;

/** Starts PostgreSQL for the whole run, unless TEST_DATABASE_URL names one, and makes the database to clone. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TEST_DATABASE_URL"];
  const server: PostgresServer | undefined = given ? undefined : await startPostgres();
  const url = server?.url ?? given ?? "";
  const template = `pgstore_template_${randomBytes(6).toString("hex")}`;
  const teardown = async (): Promise<void> => {
    // Of a server of our own nothing is left anyway.
    if (server === undefined) await run(url, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    else await server.stop();
  };
  try {
    await run(url, `CREATE DATABASE ${template}`);
    const templateUrl = new URL(url);
    templateUrl.pathname = template;
    await run(templateUrl.href, SCHEMA);
  } catch (error) {
    await teardown().catch(() => {});
    throw error;
  }
  project.provide("databaseUrl", url);
  project.provide("templateDatabase", template);
  return teardown;
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
