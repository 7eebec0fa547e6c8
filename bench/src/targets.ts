import { type Spread, spread } from "./stats.ts";
import { numberText, type ResultTable, spreadText } from "./text.ts";

/** What a measurement must reach; its id is what scenarios call it. */
export interface Target {
  id: string;
  what: string;
  limit: "at least" | "at most";
  value: number;
  unit?: "ms";
}

export interface Verdict extends Target {
  /** Undefined: not measured in this run. */
  measured: Spread | undefined;
  /** By the median. */
  met: boolean | undefined;
}

const atLeast = (id: string, value: number, what: string): Target => ({ id, what, limit: "at least", value });
const atMost = (id: string, value: number, what: string): Target => ({ id, what, limit: "at most", value });

/** Ratios of the same run. A target that is missed is reported as missed; it is not loosened. */
export const TARGETS: readonly Target[] = [
  atMost("user/get", 2, "user time of a GET, pgstore / bare node:http"),
  atMost("user/get/idle", 2.2, "user time of a GET, pgstore with an idle timeout / bare node:http"),
  atMost("user/inc", 4, "user time of an INC, pgstore / bare node:http"),
  atMost("user/inc/connect-redis", 0.75, "user time of an INC, pgstore / express-session + connect-redis"),
  atMost("user/get/memory", 1.6, "user time of a GET, pgstore's MemoryStore / bare node:http"),
  atMost("user/inc/memory", 2.6, "user time of an INC, pgstore's MemoryStore / bare node:http"),
  atMost("user/get/fastify", 2, "user time of a GET in Fastify, pgstore / no session"),
  atMost("user/get/hono", 2, "user time of a GET in Hono, pgstore / no session"),
  atMost("user/get/koa", 2, "user time of a GET in Koa, pgstore / no session"),
  atLeast("find/64/connect-pg-simple", 6.5, "find, pgstore / connect-pg-simple, 64 in flight"),
  atLeast("find/256/connect-pg-simple", 10, "find, pgstore / connect-pg-simple, 256 in flight"),
  atLeast("save/64/connect-pg-simple", 5, "save, pgstore / connect-pg-simple, 64 in flight"),
  atLeast("save/256/connect-pg-simple", 6, "save, pgstore / connect-pg-simple, 256 in flight"),
  atLeast("find/64/connect-redis", 0.5, "find, pgstore (durable) / connect-redis (nothing on disk), 64 in flight"),
  atLeast("save/64/connect-redis", 0.2, "save, pgstore (durable) / connect-redis (nothing on disk), 64 in flight"),
  atMost("find/lone", 1.1, "find alone in flight: latency, pgstore / node-postgres prepared"),
  atMost("save/lone", 1.15, "save alone in flight: latency, pgstore / node-postgres prepared"),
  atLeast("drop-in/find/64", 5, "get of express-session's store, drop-in / connect-pg-simple, 64 in flight"),
  atLeast("get/drop-in", 2, "HTTP GET, express-session with the drop-in / with connect-pg-simple, on node:http"),
  atLeast("get/connect-pg-simple", 3, "HTTP GET, pgstore / express-session + connect-pg-simple without touch"),
  atLeast("get/connect-redis", 2, "HTTP GET, pgstore / express-session + connect-redis"),
  atLeast("inc/connect-pg-simple", 3.5, "HTTP INC, pgstore / express-session + connect-pg-simple"),
  atLeast("inc/connect-redis", 0.9, "HTTP INC, pgstore / express-session + connect-redis"),
  atMost("cleanup/p99", 2, "find p99 during cleanup / before"),
  { ...atMost("cleanup/longest", 250, "longest statement that removes rows in a cleanup"), unit: "ms" },
  atMost("touch/rows", 0.1, "rows written, touchAfter default / 0"),
  atMost("growth/lone", 1.5, "find latency alone in flight, 10 million rows / 10 thousand"),
  atLeast("growth/64", 0.6, "find, 64 in flight, 10 million rows / 10 thousand"),
];

/** @param measures - by target id, a value of each round */
export function judge(targets: readonly Target[], measures: Readonly<Record<string, readonly number[]>>): Verdict[] {
  return targets.map((target) => {
    const values = measures[target.id];
    if (values === undefined || values.length === 0) return { ...target, measured: undefined, met: undefined };
    const measured = spread(values);
    const met = target.limit === "at least" ? measured.median >= target.value : measured.median <= target.value;
    return { ...target, measured, met };
  });
}

export function verdictTable(verdicts: readonly Verdict[]): ResultTable {
  const rows = verdicts.map(({ what, limit, value, unit, measured, met }) => {
    const suffix = unit === undefined ? "" : ` ${unit}`;
    return [
      what,
      `${limit} ${numberText(value)}${suffix}`,
      measured === undefined ? "–" : spreadText(measured) + suffix,
      met === undefined ? "not measured" : met ? "met" : "missed",
    ];
  });
  return { title: "Targets: ratios of the same run", columns: ["", "target", "measured", ""], rows };
}
