// Passes each ORM, and what the error advises, to pgstore. Prints the errors and what works as JSON.
import { EntitySchema, MikroORM } from "@mikro-orm/postgresql";
import { drizzle } from "drizzle-orm/node-postgres";
import knex from "knex";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import pgPromise from "pg-promise";
import { PgStore } from "pgstore";
import { Sequelize } from "sequelize";
import { createPool } from "slonik";
import { DataSource } from "typeorm";

const url = process.env.DATABASE_URL;
const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 5000 });
const said = {};

function pass(name, db) {
  try {
    const store = new PgStore(db, { cleanupInterval: 0 });
    said[name] = `accepted by ${store.constructor.name}`;
  } catch (error) {
    said[name] = error.message.replace(/^.*, got /, "");
  }
}

async function use(name, db) {
  const store = new PgStore(db, { table: name, cleanupInterval: 0 });
  await store.migrate();
  await store.save("id", new Uint8Array([7]), new Date(Date.now() + 60_000));
  const found = await store.find("id");
  said[name] = found?.data[0] === 7 && (await store.check()).length === 0 ? "works" : "does not work";
  await store.close();
}

const onDrizzle = drizzle(pool);
pass("drizzle", onDrizzle);
await use("db.$client", onDrizzle.$client);
pass("kysely", new Kysely({ dialect: new PostgresDialect({ pool }) }));
pass("knex", knex({ client: "pg", connection: url }));
pass("sequelize", new Sequelize(url, { dialect: "postgres", logging: false }));
const dataSource = await new DataSource({ type: "postgres", url }).initialize();
pass("typeorm", dataSource);
pass("typeorm manager", dataSource.manager);
pass("typeorm query runner", dataSource.createQueryRunner());
await use("dataSource.driver.master", dataSource.driver.master);
const thing = new EntitySchema({ name: "Thing", properties: { id: { type: "number", primary: true } } });
const orm = await MikroORM.init({ entities: [thing], clientUrl: url });
pass("mikro-orm", orm);
pass("mikro-orm em", orm.em);
const onPgPromise = pgPromise({ noWarnings: true })(url);
pass("pg-promise", onPgPromise);
await use("db.$pool", onPgPromise.$pool);
pass("slonik", await createPool(url));
process.stdout.write(JSON.stringify(said));
process.exit(0);
