import { Child } from "../env/child.ts";
import { pin } from "../env/cores.ts";
import { createDatabase, createPool, settle } from "../env/postgres.ts";
import { openRedisClient } from "../env/redis.ts";
import { type AppEntry, APPS } from "../http/apps.ts";
import type { GeneratorAnswer, GeneratorQuestion } from "../http/generator.ts";
import { PARTS, type Profile } from "../http/profile.ts";
import type { ServerQuestion } from "../http/server.ts";
import type { Operation } from "../http/wire.ts";
import { PgStore } from "../pgstore.ts";
import { createSessionTable } from "../peers/connect-pg-simple.ts";
import { connectRedisPeer } from "../peers/connect-redis.ts";
import { fillSessSql, fillSql, keyOf } from "../rows.ts";
import { median, ratios, spread } from "../stats.ts";
import { numberText, type ResultTable, spreadText } from "../text.ts";
import { rotate } from "./closed-loop.ts";
import type { Bench, ScenarioResult } from "./scenario.ts";

const OPERATIONS: readonly Operation[] = ["get", "inc"];
/** The servers whose functions are listed, and how many functions. */
const PROFILED = ["bare", "pgstore-memory", "pgstore"];
const FUNCTIONS = 30;
const SMALLEST_SHARE = 0.001;

/** A server that runs, in a process of its own. */
interface Running {
  app: AppEntry;
  child: Child;
  port: number;
}

/** Requests to servers on one core. */
export async function measureHttp(bench: Bench): Promise<ScenarioResult> {
  const { connections, rounds, blockMs, warmUpMs, rows } = bench.sizes.http;
  const generator = new Child("http/generator.ts", bench.undo);
  pin(generator.pid, bench.cores?.others);
  const servers = await startServers(bench, generator);
  const values: Record<string, number[]> = {};
  for (let round = -1; round < rounds; round++) {
    bench.log(round < 0 ? "warm-up" : `round ${round + 1} of ${rounds}`);
    for (const operation of OPERATIONS) {
      for (const server of rotate(servers, round + 1)) {
        const block = await measureBlock(server, generator, operation, round < 0 ? warmUpMs : blockMs);
        if (round < 0) continue;
        for (const [what, value] of Object.entries(block)) {
          (values[`${operation}/${server.app.id}/${what}`] ??= []).push(value);
        }
      }
    }
  }
  bench.log("profiles");
  for (const operation of OPERATIONS) {
    for (const server of servers) {
      const { shares, functions, allocated } = await profile(server, generator, operation, blockMs);
      const path = `${operation}/${server.app.id}`;
      values[`${path}/allocated`] = [allocated];
      for (const [part, share] of Object.entries(shares)) values[`${path}/share of ${part}`] = [share];
      if (!PROFILED.includes(server.app.id)) continue;
      for (const [name, share] of Object.entries(functions)) {
        if (share > SMALLEST_SHARE) values[`${path}/in ${name}`] = [share];
      }
    }
  }
  return {
    name: "http",
    title: `HTTP level: one core for the server, ${connections} connections, ${numberText(rows)} sessions`,
    tables: [
      timeTable(servers, values),
      partTable(values),
      ...OPERATIONS.map((operation) => functionTable(operation, values)),
      rateTable(servers, values),
      cpuTable(servers, values),
    ],
    values,
    measures: measuresOf(values),
    notes: [
      "GET reads a key of the session; INC reads the session, changes it and writes it. Every answer is checked: the",
      "value, and that the counter of each client goes up by exactly one.",
      "A server below 100 % of its core waits for PostgreSQL, Redis or the load generator, which share the other cores.",
    ],
  };
}

async function startServers(bench: Bench, generator: Child): Promise<Running[]> {
  const { postgres, redis, undo, sizes, log } = bench;
  const url = await createDatabase(postgres, undo);
  const admin = createPool(url, undo);
  await new PgStore(admin, { cleanupInterval: 0 }).migrate();
  await createSessionTable(admin);
  await admin.query(fillSql("sessions", 0, sizes.http.rows));
  await admin.query(fillSessSql("session", sizes.http.rows));
  await settle(admin);
  if (redis !== undefined) await fillRedis(redis.url, sizes.http.rows);
  const apps = APPS.filter(({ needsRedis }) => needsRedis !== true || redis !== undefined);
  log(`starting ${apps.length} servers`);
  const env = { DATABASE_URL: url, REDIS_URL: redis?.url };
  const running: Running[] = [];
  for (const app of apps) {
    const child = new Child("http/server.ts", undo, { args: [app.id], env });
    const port = await child.ask<number>("port" satisfies ServerQuestion);
    const { connections: clients } = sizes.http;
    const question: GeneratorQuestion = { kind: "begin", port, clients, sessions: app.isBare !== true };
    await generator.ask(question);
    running.push({ app, child, port });
  }
  return running;
}

/** As many sessions as the tables have. */
async function fillRedis(url: string, rows: number): Promise<void> {
  const client = await openRedisClient(url);
  const keys = Array.from({ length: rows }, (_, n) => keyOf(n));
  await connectRedisPeer(client, "sess:", keys);
  client.destroy();
}

async function measureBlock({ child, port }: Running, generator: Child, operation: Operation, milliseconds: number) {
  const before = await child.ask<NodeJS.CpuUsage>("cpu" satisfies ServerQuestion);
  const start = performance.now();
  const question: GeneratorQuestion = { kind: "run", port, operation, milliseconds };
  const { requests, requestsPerSecond, cpu } = await generator.ask<GeneratorAnswer>(question);
  const after = await child.ask<NodeJS.CpuUsage>("cpu" satisfies ServerQuestion);
  const user = after.user - before.user;
  const total = user + after.system - before.system;
  return {
    rate: requestsPerSecond,
    user: user / requests,
    total: total / requests,
    serverCpu: total / 1000 / (performance.now() - start),
    generatorCpu: cpu,
  };
}

/** Where a server's time goes. Apart from the rounds, as a profile slows it down: only the shares count. */
async function profile({ child, port }: Running, generator: Child, operation: Operation, milliseconds: number) {
  await child.ask("profile" satisfies ServerQuestion);
  const question: GeneratorQuestion = { kind: "run", port, operation, milliseconds };
  const { requests } = await generator.ask<GeneratorAnswer>(question);
  const profiled = await child.ask<Profile>("profiled" satisfies ServerQuestion);
  return { ...profiled, allocated: profiled.allocated / requests };
}

/** The processor time of a request, which is far steadier on shared machines than requests a second. */
function timeTable(servers: readonly Running[], values: Record<string, number[]>): ResultTable {
  const cells = (id: string, operation: Operation): string[] => {
    const of = (what: string, app = id): number[] => values[`${operation}/${app}/${what}`] ?? [];
    const times = numberText(median(ratios(of("user"), of("user", "bare"))));
    return [
      spreadText(spread(of("user"))),
      times,
      numberText(median(of("total"))),
      numberText(median(of("allocated"))),
    ];
  };
  const columns = OPERATIONS.flatMap((operation) => {
    const name = operation.toUpperCase();
    return [`${name}, user µs`, "/ bare", "total µs", "bytes allocated"];
  });
  return {
    title: "Processor time of the server for a request, microseconds",
    columns: ["", ...columns],
    rows: servers.map(({ app: { id, name } }) => [name, ...OPERATIONS.flatMap((operation) => cells(id, operation))]),
  };
}

/** Where the microseconds of pgstore go. */
function partTable(values: Record<string, number[]>): ResultTable {
  const columns = OPERATIONS.flatMap((operation) => PROFILED.map((id) => `${operation.toUpperCase()}, ${id}`));
  const cell = (operation: Operation, id: string, part: string): string => {
    const share = values[`${operation}/${id}/share of ${part}`]?.[0] ?? 0;
    return numberText(share * median(values[`${operation}/${id}/total`] ?? []));
  };
  return {
    title: "Where the microseconds go, by a profile of the processor",
    columns: ["", ...columns],
    rows: PARTS.map((part) => [
      part,
      ...OPERATIONS.flatMap((operation) => PROFILED.map((id) => cell(operation, id, part))),
    ]),
  };
}

/** The functions in which pgstore's server spends most, beside the same functions of the others. */
function functionTable(operation: Operation, values: Record<string, number[]>): ResultTable {
  const prefix = `${operation}/pgstore/in `;
  const shareOf = (path: string): number => values[path]?.[0] ?? 0;
  const names = Object.keys(values)
    .filter((path) => path.startsWith(prefix))
    .toSorted((a, b) => shareOf(b) - shareOf(a))
    .slice(0, FUNCTIONS)
    .map((path) => path.slice(prefix.length));
  const cell = (id: string, name: string): string =>
    numberText(shareOf(`${operation}/${id}/in ${name}`) * median(values[`${operation}/${id}/total`] ?? []));
  return {
    title: `The functions that take most of a ${operation.toUpperCase()}, microseconds of each without what it calls`,
    columns: ["", ...PROFILED],
    rows: names.map((name) => [name, ...PROFILED.map((id) => cell(id, name))]),
  };
}

function rateTable(servers: readonly Running[], values: Record<string, number[]>): ResultTable {
  return {
    title: "Requests a second",
    columns: ["", "GET", "INC"],
    rows: servers.map(({ app: { id, name } }) => [
      name,
      ...OPERATIONS.map((operation) => spreadText(spread(values[`${operation}/${id}/rate`] ?? []))),
    ]),
  };
}

function cpuTable(servers: readonly Running[], values: Record<string, number[]>): ResultTable {
  const percent = (path: string): string => `${Math.round(median(values[path] ?? []) * 100)} %`;
  return {
    title: "Share of a core: the server, the load generator",
    columns: ["", "GET server", "GET generator", "INC server", "INC generator"],
    rows: servers.map(({ app: { id, name } }) => [
      name,
      ...OPERATIONS.flatMap((op) => [percent(`${op}/${id}/serverCpu`), percent(`${op}/${id}/generatorCpu`)]),
    ]),
  };
}

function measuresOf(values: Record<string, number[]>): Record<string, number[]> {
  const ratio = (path: string, below: string): number[] => {
    const [ours, theirs] = [values[path], values[below]];
    return ours === undefined || theirs === undefined ? [] : ratios(ours, theirs);
  };
  const user = (operation: Operation, app: string, below = "bare"): number[] =>
    ratio(`${operation}/${app}/user`, `${operation}/${below}/user`);
  const rate = (operation: Operation, app: string, below: string): number[] =>
    ratio(`${operation}/${app}/rate`, `${operation}/${below}/rate`);
  return {
    "user/get": user("get", "pgstore"),
    "user/get/idle": user("get", "pgstore-idle"),
    "user/inc": user("inc", "pgstore"),
    "user/inc/connect-redis": user("inc", "pgstore", "redis"),
    "user/get/memory": user("get", "pgstore-memory"),
    "user/inc/memory": user("inc", "pgstore-memory"),
    "user/get/fastify": user("get", "pgstore-fastify", "bare-fastify"),
    "user/get/hono": user("get", "pgstore-hono", "bare-hono"),
    "user/get/koa": user("get", "pgstore-koa", "bare-koa"),
    "get/connect-pg-simple": rate("get", "pgstore", "connect-pg-simple-untouched"),
    "get/drop-in": rate("get", "drop-in", "connect-pg-simple"),
    "get/connect-redis": rate("get", "pgstore", "redis"),
    "inc/connect-pg-simple": rate("inc", "pgstore", "connect-pg-simple-untouched"),
    "inc/connect-redis": rate("inc", "pgstore", "redis"),
  };
}
