import { randomUUID } from "node:crypto";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Of a database on the server of this run, as a user who may create databases. */
    databaseUrl: string;
    /** The name of the database that test files copy. */
    template: string;
  }
}

/** Starts PostgreSQL once for the run, unless TEST_DATABASE_URL names a server, and makes the template there. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TEST_DATABASE_URL"];
  const server = given === undefined ? await startPostgres() : undefined;
  const url = server?.url ?? given ?? "";
  const template = `pgstore_template_${randomUUID().replaceAll("-", "")}`;
  const on = async (address: string, sql: string): Promise<void> => {
    const client = new pg.Client(address);
    await client.connect();
    await client.query(sql);
    await client.end();
  };
  await on(url, `CREATE DATABASE ${template}`);
  const inTemplate = new URL(url);
  inTemplate.pathname = `/${template}`;
  await on(
    inTemplate.href,
    `CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL);
     CREATE INDEX sessions_expiry_idx ON sessions (expiry);`,
  );
  project.provide("databaseUrl", url);
  project.provide("template", template);
  return async () => {
    await on(url, `DROP DATABASE ${template} WITH (FORCE)`);
    await server?.stop();
  };
}
