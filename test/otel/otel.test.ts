import { inspect } from "node:util";
import { context, metrics, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import type { Histogram } from "@opentelemetry/sdk-metrics";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { PgStore, SessionManager } from "../../src/index.ts";
import { createToken, idOf } from "../../src/lib/core/token.ts";
import { instrument } from "../../src/otel.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { gatedClient } from "../support/gated-client.ts";
import { type Recorded, telemetry } from "../support/telemetry.ts";
import { watchText } from "../support/token-leaks.ts";

type Data = Record<string, unknown>;

let database: TestDatabase;
let pool: pg.Pool;
let store: PgStore;
let manager: SessionManager<Data>;
beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  database = await createDatabase();
  pool = database.pool({ max: 4 });
  pool.on("error", () => {});
  store = new PgStore(pool, { cleanupInterval: 0 });
  manager = new SessionManager<Data>(store);
});
afterAll(async () => {
  context.disable();
  await store?.close();
  await database?.drop();
});

function recording() {
  const { meterProvider, tracerProvider, ...sinks } = telemetry();
  const instrumentation = instrument({ meterProvider, tracerProvider });
  onTestFinished(() => instrumentation.stop());
  return { ...sinks, instrumentation, tracer: tracerProvider.getTracer("test") };
}

/** How often something was recorded, by its attributes as text. */
const counts = (metric: Recorded | undefined): Record<string, number> =>
  Object.fromEntries(
    (metric?.points ?? []).map(({ attributes, value }) => [
      Object.values(attributes).join(" "),
      typeof value === "number" ? value : value.count,
    ]),
  );

async function stored(): Promise<string> {
  const session = await manager.load();
  session.set("name", "Ada");
  await manager.commit(session);
  return session.token ?? "";
}

/** A session's life, with all that can happen to it. */
async function useAll(): Promise<void> {
  const [token, other] = [await stored(), await stored()];
  const [first, second] = [await manager.load(token), await new SessionManager<Data>(store).load(token)];
  second.set("second", 1);
  await new SessionManager<Data>(store).commit(second);
  first.set("first", 1);
  await manager.commit(first); // a conflict
  await first.destroy();
  second.set("late", 1);
  await manager.commit(second); // gone
  await manager.load(token); // stale
  await manager.load([other, createToken()]); // duplicate
  await pool.query("UPDATE sessions SET data = 'nonsense' WHERE token = $1", [idOf(other)]);
  await manager.load(other); // unreadable
  await expect(new PgStore(pool, { table: "missing", cleanupInterval: 0 }).find("token")).rejects.toThrow("missing");
  await pool.query("INSERT INTO sessions VALUES ('old', '', current_timestamp - interval '1 hour')");
  await store.deleteExpired();
}

describe("instrument", () => {
  it("records every metric, in its unit", async () => {
    const { recorded } = recording();
    await store.deleteExpired();
    await useAll();
    const all = await recorded();
    const units = Object.fromEntries(Array.from(all, ([name, { unit }]) => [name, unit]));
    expect(units).toEqual({
      "pgstore.load.duration": "s",
      "pgstore.commit.duration": "s",
      "pgstore.batch.duration": "s",
      "pgstore.batch.wait": "s",
      "pgstore.batch.size": "{operation}",
      "pgstore.store.errors": "{operation}",
      "pgstore.gone": "{commit}",
      "pgstore.conflicts": "{attempt}",
      "pgstore.stale": "{request}",
      "pgstore.duplicates": "{request}",
      "pgstore.unreadable": "{row}",
      "pgstore.cleanup.duration": "s",
      "pgstore.cleanup.removed": "{row}",
    });
    expect(counts(all.get("pgstore.load.duration"))).toEqual({ live: 3, ended: 1, unreadable: 1 });
    expect(counts(all.get("pgstore.commit.duration"))).toEqual({
      "create stored": 2,
      "replace stored": 2,
      "replace gone": 1,
      "destroy stored": 1,
    });
    expect(counts(all.get("pgstore.store.errors"))).toEqual({ "postgresql find SCHEMA": 1 });
    for (const name of ["gone", "stale", "duplicates", "unreadable", "conflicts", "cleanup.removed"]) {
      expect(counts(all.get(`pgstore.${name}`)), name).toEqual({ "": 1 });
    }
    expect(counts(all.get("pgstore.cleanup.duration"))).toEqual({ "": 2 });
    const finds = counts(all.get("pgstore.batch.size"));
    expect(finds["postgresql create"]).toBe(2);
    expect(finds["postgresql find SCHEMA"]).toBe(1);
  });

  it("records how many share a statement, and seconds, not milliseconds", async () => {
    const { recorded } = recording();
    const client = gatedClient(pool);
    const gated = new PgStore(client, { cleanupInterval: 0, batch: { statements: 1 } });
    client.hold();
    const begun = performance.now();
    const finds = Array.from({ length: 31 }, () => gated.find(createToken()));
    client.release();
    await Promise.all(finds);
    const most = (performance.now() - begun) / 1000;
    await gated.close();
    const all = await recorded();
    expect(all.get("pgstore.batch.size")?.points[0]?.value).toMatchObject({ count: 2, sum: 31, min: 1, max: 30 });
    const wait = all.get("pgstore.batch.wait")?.points[0]?.value as Histogram;
    expect(wait.sum).toBeGreaterThan(0);
    expect(wait.sum).toBeLessThanOrEqual(most);
  });

  it("makes spans that are children of the request's", async () => {
    const token = await stored();
    const { tracer, spans } = recording();
    await tracer.startActiveSpan("request", async (request) => {
      const session = await manager.load(token);
      session.set("more", 1);
      await manager.commit(session);
      request.end();
    });
    const [find, load, replace, commit, request] = spans();
    expect([find, load, replace, commit, request].map((span) => span?.name)).toEqual([
      "pgstore.find",
      "pgstore.load",
      "pgstore.replace",
      "pgstore.commit",
      "request",
    ]);
    for (const span of [find, load, replace, commit]) {
      expect(span?.parentSpanContext?.spanId).toBe(request?.spanContext().spanId);
      expect(span?.status.code).toBe(SpanStatusCode.UNSET);
    }
    expect([find?.kind, load?.kind]).toEqual([SpanKind.CLIENT, SpanKind.INTERNAL]);
    expect(find?.attributes).toEqual({
      "db.system.name": "postgresql",
      "db.operation.name": "find",
      "pgstore.batch.wait": expect.any(Number) as number,
    });
    expect(load?.attributes).toEqual({ "pgstore.outcome": "live", "pgstore.session.id": idOf(token) });
    expect(commit?.attributes).toEqual({
      "pgstore.plan": "replace",
      "pgstore.outcome": "stored",
      "pgstore.session.id": idOf(token),
      "pgstore.commit.attempts": 1,
    });
    const nanoseconds = (span: ReadableSpan | undefined): number =>
      (span?.duration[0] ?? NaN) * 1e9 + (span?.duration[1] ?? NaN);
    expect(nanoseconds(load)).toBeGreaterThanOrEqual(nanoseconds(find));
  });

  it("makes one span of a batch, a child of the request that has waited for the longest", async () => {
    const { tracer, spans } = recording();
    const client = gatedClient(pool);
    const gated = new PgStore(client, { cleanupInterval: 0, batch: { statements: 1 } });
    client.hold();
    const requests = ["first", "second", "third"].map((name) =>
      tracer.startActiveSpan(name, async (request) => {
        await gated.find(createToken());
        request.end();
      }),
    );
    client.release();
    await Promise.all(requests);
    await gated.close();
    const idsOf = new Map(spans().map((span) => [span.spanContext().spanId, span.name]));
    const batches = spans().filter(({ name }) => name === "pgstore.find");
    expect(batches.map((span) => idsOf.get(span.parentSpanContext?.spanId ?? ""))).toEqual(["first", "second"]);
    expect(batches.map(({ attributes }) => attributes["db.operation.batch.size"])).toEqual([undefined, 2]);
  });

  it("marks spans of what failed", async () => {
    const { spans } = recording();
    const broken = new PgStore(pool, { table: "missing", cleanupInterval: 0 });
    await expect(new SessionManager(broken).load(createToken())).rejects.toThrow("missing");
    await expect(broken.deleteExpired()).rejects.toThrow("missing");
    expect(spans().map(({ name, status, attributes }) => [name, status.message, attributes["error.type"]])).toEqual(
      ["pgstore.find", "pgstore.load", "pgstore.cleanup"].map((name) => [name, "SCHEMA", "SCHEMA"]),
    );
  });

  it("holds no token, whatever happens", async () => {
    const { spans, recorded } = recording();
    await useAll();
    expect(spans().length).toBeGreaterThan(10);
    watchText(
      "a span",
      inspect(
        spans().map(({ name, attributes, status }) => ({ name, attributes, status })),
        { depth: 8 },
      ),
    );
    watchText("a metric", inspect(await recorded(), { depth: 8 }));
  });

  it("stops, twice or by using", async () => {
    const { instrumentation, spans, recorded } = recording();
    await store.find("token");
    instrumentation.stop();
    instrumentation[Symbol.dispose]();
    await store.find("token");
    expect(spans()).toHaveLength(1);
    expect(counts((await recorded()).get("pgstore.batch.size"))).toEqual({ "postgresql find": 1 });
  });

  it("records for each call, and stops each by itself", async () => {
    const [one, other] = [recording(), recording()];
    await store.find("token");
    one.instrumentation.stop();
    await store.find("token");
    expect([one.spans().length, other.spans().length]).toEqual([1, 2]);
  });

  it("takes the global providers by default", async () => {
    const { meterProvider, tracerProvider, spans, recorded } = telemetry();
    metrics.setGlobalMeterProvider(meterProvider);
    trace.setGlobalTracerProvider(tracerProvider);
    const instrumentation = instrument();
    onTestFinished(() => {
      instrumentation.stop();
      metrics.disable();
      trace.disable();
    });
    await store.find("token");
    expect(spans()).toHaveLength(1);
    expect(counts((await recorded()).get("pgstore.batch.size"))).toEqual({ "postgresql find": 1 });
  });

  it("refuses options that are wrong", () => {
    expect(() => instrument({ meter: metrics } as object)).toThrow(/^meter: there is no such option/);
    expect(() => instrument({ meterProvider: {} as never })).toThrow(
      "meterProvider: expected a MeterProvider, got an object",
    );
    expect(() => instrument({ tracerProvider: null as never })).toThrow(
      "tracerProvider: expected a TracerProvider, got null",
    );
  });
});
