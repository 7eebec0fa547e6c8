import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SpanKind } from "@opentelemetry/api";
import { expect, it, onTestFinished } from "vitest";
import { MemoryStore, SessionManager } from "../../src/index.ts";
import { EVENT_NAMES, type Events, publish } from "../../src/lib/core/events.ts";
import { createToken, idOf } from "../../src/lib/core/token.ts";
import { instrument } from "../../src/otel.ts";
import { telemetry } from "../support/telemetry.ts";

type Manager = SessionManager<Record<string, unknown>>;
type SessionChannel = "conflict" | "gone" | "stale" | "duplicate" | "error";

const page = readFileSync(fileURLToPath(new URL("../../docs/operate/observability.md", import.meta.url)), "utf8");

/** The rows of the table that begins with a heading, by their first cell. */
function table(heading: string): Map<string, string[]> {
  const block = page.split("\n\n").find((part) => part.startsWith(`| ${heading} `)) ?? "";
  const rows = block
    .split("\n")
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return new Map(rows.map(([first = "", ...cells]) => [first.replaceAll("`", ""), cells]));
}

const namesIn = (cell = ""): string[] => Array.from(cell.matchAll(/`([\w.-]+)`/g), ([, name = ""]) => name);

/** An event with every field that its channel has; the compiler sees that none is missing. */
const EVENTS: { [Name in keyof Events]: Name extends SessionChannel ? Events[Name] : Required<Events[Name]> } = {
  load: { id: "id", duration: 1, outcome: "failed", code: "SCHEMA" },
  commit: { id: "id", duration: 1, plan: "touch", outcome: "failed", attempts: 1, code: "SCHEMA" },
  conflict: { id: "id", attempt: 1 },
  gone: { id: "id" },
  stale: { id: "id" },
  duplicate: { id: "id", live: 2 },
  error: { id: "id", error: new Error("bad") },
  invalid: { id: "id", key: "cart" },
  batch: { operation: "find", size: 2, wait: 1, duration: 1, failed: 1, code: "SCHEMA" },
  "store-error": { operation: "find", code: "SCHEMA" },
  cleanup: { removed: 1, duration: 1, code: "SCHEMA", heldUp: true },
};

/** What a session's events really have, by channel. */
async function sessionEvents(): Promise<Map<string, object>> {
  const found = new Map<string, object>();
  const note = (event: unknown, name: string | symbol): unknown => found.set(String(name).slice(8), event as object);
  const names = ["conflict", "gone", "stale", "duplicate", "error"] satisfies SessionChannel[];
  for (const name of names) subscribe(`pgstore:${name}`, note);
  onTestFinished(() => {
    for (const name of names) unsubscribe(`pgstore:${name}`, note);
  });
  const store = new MemoryStore({ cleanupInterval: 0 });
  const managers = [1, 2].map(() => new SessionManager<Record<string, unknown>>(store)) as [Manager, Manager];
  const [manager, other] = managers;
  const session = await manager.load();
  session.set("key", 1);
  await manager.commit(session);
  const [one, two] = [await manager.load(session.token), await other.load(session.token)];
  for (const late of [one, two]) late.set("late", 1);
  await manager.commit(one);
  await other.commit(two);
  await manager.destroyById(session.id ?? "");
  two.set("later", 1);
  await other.commit(two);
  await manager.load([session.token ?? "", createToken()]);
  const token = createToken();
  await store.save(idOf(token), Buffer.from("nonsense"), new Date(Date.now() + 60_000));
  await manager.load(token);
  return found;
}

it("names each channel with its fields, and explains each field", async () => {
  const channels = table("channel");
  expect([...channels.keys()].toSorted()).toEqual(EVENT_NAMES.map((name) => `pgstore:${name}`).toSorted());
  for (const name of EVENT_NAMES) {
    const [, fields] = channels.get(`pgstore:${name}`) ?? [];
    expect(namesIn(fields).toSorted(), name).toEqual(Object.keys(EVENTS[name]).toSorted());
  }
  const fields = new Set(EVENT_NAMES.flatMap((name) => Object.keys(EVENTS[name])));
  expect([...table("field").keys()].toSorted()).toEqual([...fields].toSorted());
  for (const [name, event] of await sessionEvents()) {
    expect(Object.keys(event).toSorted(), name).toEqual(Object.keys(EVENTS[name as SessionChannel]).toSorted());
  }
  expect((await sessionEvents()).size).toBe(5);
});

it("names each metric and each span with its attributes", async () => {
  const { meterProvider, tracerProvider, recorded, spans } = telemetry();
  const { stop } = instrument({ meterProvider, tracerProvider });
  onTestFinished(stop);
  for (const name of EVENT_NAMES) publish(name, EVENTS[name] as never);

  let above: string[] = [];
  const metrics = Array.from(table("metric"), ([name, [kind, unit = "", attributes = ""]]) => {
    above = attributes === "the same" ? above : namesIn(attributes);
    return [name, [kind, unit.replaceAll("`", ""), above.toSorted()]];
  });
  const found = Array.from(await recorded(), ([name, { kind, unit, points }]) => [
    name,
    [kind, unit, Object.keys(points[0]?.attributes ?? {}).toSorted()],
  ]);
  expect(Object.fromEntries(metrics)).toEqual(Object.fromEntries(found));

  const rows = Array.from(table("span"), ([name, [kind, attributes]]) => [
    name,
    [kind, namesIn(attributes).toSorted()],
  ]);
  const made = spans().map(({ name, kind, attributes }) => [
    name === "pgstore.find" ? "pgstore. and the operation" : name,
    [SpanKind[kind]?.toLowerCase(), Object.keys(attributes).toSorted()],
  ]);
  expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(made));
});

it("asks Prometheus for metrics that there are", async () => {
  const names = Array.from(table("metric").keys(), (name) => name.replaceAll(".", "_"));
  const asked = Array.from(page.matchAll(/\b(pgstore_\w+?)(?:_total|_bucket|_sum|_count)\b/g), ([, name]) => name);
  expect(asked.length).toBeGreaterThan(5);
  expect(asked.filter((name) => !names.includes(name ?? ""))).toEqual([]);
});
