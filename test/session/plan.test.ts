import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planCommit, type PlanOptions, type PlanState } from "../../src/lib/session/plan.ts";

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const absolute: PlanOptions = { lifetime: DAY, idleTimeout: 0, touchAfter: 0 };
const idle: PlanOptions = { lifetime: DAY, idleTimeout: HOUR, touchAfter: HOUR / 20 };

function state(given: Partial<PlanState> = {}): PlanState {
  return {
    phase: "stored",
    changed: false,
    empty: false,
    ending: undefined,
    presented: true,
    formLifetime: undefined,
    wasForm: false,
    keepDeadline: false,
    endsEmpty: false,
    deadline: NOW + 10 * HOUR,
    deadlineMoved: false,
    expiry: NOW + 10 * HOUR,
    lifetime: undefined,
    idleTimeout: undefined,
    ...given,
  };
}

const fresh = { phase: "new", presented: false, deadline: undefined, expiry: undefined } as const;
/** A stored session with an idle timeout whose row was last moved `ago` milliseconds ago. */
const movedBefore = (ago: number): Partial<PlanState> => ({ expiry: NOW - ago + HOUR });

describe("planCommit", () => {
  const table: [title: string, state: Partial<PlanState>, options: PlanOptions, plan: object][] = [
    ["new, nothing set", { ...fresh, empty: true }, absolute, { kind: "nothing" }],
    ["new, nothing set, with an idle timeout", { ...fresh, empty: true }, idle, { kind: "nothing" }],
    ["new, set and removed again", { ...fresh, changed: true, empty: true }, absolute, { kind: "nothing" }],
    ["new, set", { ...fresh, changed: true }, absolute, { kind: "create", expiry: NOW + DAY, deadline: NOW + DAY }],
    ["new, not changed though it holds something", { ...fresh }, absolute, { kind: "nothing" }],
    [
      "new, set, with an idle timeout",
      { ...fresh, changed: true },
      idle,
      { kind: "create", expiry: NOW + HOUR, deadline: NOW + DAY },
    ],
    [
      "new, set, with a deadline of its own",
      { ...fresh, changed: true, deadline: NOW + 5, deadlineMoved: true },
      idle,
      { kind: "create", expiry: NOW + 5, deadline: NOW + 5 },
    ],
    ["new, destroyed", { ...fresh, changed: true, ending: "destroy" }, absolute, { kind: "nothing" }],
    ["stored, read only", {}, absolute, { kind: "nothing" }],
    [
      "stored, changed",
      { changed: true },
      absolute,
      { kind: "replace", expiry: NOW + 10 * HOUR, deadline: NOW + 10 * HOUR },
    ],
    [
      "stored, changed to nothing: it keeps its row",
      { changed: true, empty: true },
      absolute,
      { kind: "replace", expiry: NOW + 10 * HOUR, deadline: NOW + 10 * HOUR },
    ],
    [
      "stored, changed, with an idle timeout",
      { changed: true, ...movedBefore(HOUR / 2) },
      idle,
      { kind: "replace", expiry: NOW + HOUR, deadline: NOW + 10 * HOUR },
    ],
    [
      "stored, changed, close to the deadline",
      { changed: true, deadline: NOW + 5, expiry: NOW + 5 },
      idle,
      { kind: "replace", expiry: NOW + 5, deadline: NOW + 5 },
    ],
    [
      "stored, changed, deadline moved back: it counts, not the row",
      { changed: true, deadline: NOW + 5, deadlineMoved: true },
      absolute,
      { kind: "replace", expiry: NOW + 5, deadline: NOW + 5 },
    ],
    [
      "stored, changed, a row that lives longer than its data says: the row counts",
      { changed: true, deadline: NOW - DAY, expiry: NOW + 7 },
      absolute,
      { kind: "replace", expiry: NOW + 7, deadline: NOW - DAY },
    ],
    ["stored, read only, moved long ago", movedBefore(HOUR / 2), idle, { kind: "touch", expiry: NOW + HOUR }],
    [
      "stored, read only, moved exactly touchAfter ago",
      movedBefore(HOUR / 20),
      idle,
      { kind: "touch", expiry: NOW + HOUR },
    ],
    ["stored, read only, moved just before that", movedBefore(HOUR / 20 - 1), idle, { kind: "nothing" }],
    [
      "stored, read only, touchAfter 0",
      movedBefore(1),
      { ...idle, touchAfter: 0 },
      { kind: "touch", expiry: NOW + HOUR },
    ],
    ["stored, read only, touchAfter 0, same instant", movedBefore(0), { ...idle, touchAfter: 0 }, { kind: "nothing" }],
    [
      "stored, read only, with an idle timeout of its own",
      { idleTimeout: 2 * HOUR, ...movedBefore(HOUR / 10) },
      idle,
      { kind: "touch", expiry: NOW + 2 * HOUR },
    ],
    [
      "stored, read only, moved exactly a twentieth of its own idle timeout ago, where the manager has none",
      { idleTimeout: HOUR, ...movedBefore(HOUR / 20) },
      absolute,
      { kind: "touch", expiry: NOW + HOUR },
    ],
    [
      "stored, read only, moved just before that",
      { idleTimeout: HOUR, ...movedBefore(HOUR / 20 - 1) },
      absolute,
      { kind: "nothing" },
    ],
    [
      "stored, read only, with a touchAfter that is as much of its own idle timeout",
      { idleTimeout: HOUR / 2, expiry: NOW - HOUR / 40 + 1 + HOUR / 2 },
      idle,
      { kind: "nothing" },
    ],
    ["stored, read only, with no idle timeout at all", { idleTimeout: 0, expiry: NOW + 5 }, idle, { kind: "nothing" }],
    [
      "stored, changed, with no idle timeout at all: it lives until its deadline",
      { changed: true, idleTimeout: 0, ...movedBefore(0) },
      idle,
      { kind: "replace", expiry: NOW + 10 * HOUR, deadline: NOW + 10 * HOUR },
    ],
    [
      "stored, renewed, with a lifetime of its own",
      { ending: "renew", lifetime: 30 * DAY },
      absolute,
      { kind: "renew", expiry: NOW + 30 * DAY, deadline: NOW + 30 * DAY },
    ],
    [
      "new, set, with times of its own",
      { ...fresh, changed: true, lifetime: 30 * DAY, idleTimeout: DAY },
      idle,
      { kind: "create", expiry: NOW + DAY, deadline: NOW + 30 * DAY },
    ],
    ["stored, read only, at the deadline already", { deadline: NOW + 5, expiry: NOW + 5 }, idle, { kind: "nothing" }],
    [
      "stored, renewed",
      { ending: "renew", ...movedBefore(HOUR / 2) },
      idle,
      { kind: "renew", expiry: NOW + HOUR, deadline: NOW + DAY },
    ],
    [
      "stored, renewed, the deadline kept",
      { ending: "renew", keepDeadline: true, deadline: NOW + 5, expiry: NOW + 5 },
      idle,
      { kind: "renew", expiry: NOW + 5, deadline: NOW + 5 },
    ],
    [
      "stored, renewed, the deadline set in this request",
      { ending: "renew", deadline: NOW + 5, deadlineMoved: true },
      absolute,
      { kind: "renew", expiry: NOW + 5, deadline: NOW + 5 },
    ],
    [
      "stored, renewed, the deadline kept, of a row that lives longer than its data say",
      { ending: "renew", keepDeadline: true, deadline: NOW - DAY, expiry: NOW + 7 },
      absolute,
      { kind: "renew", expiry: NOW + 7, deadline: NOW + 7 },
    ],
    [
      "stored, changed, of a row without a deadline",
      { changed: true, deadline: undefined, expiry: NOW + 7 },
      absolute,
      { kind: "replace", expiry: NOW + 7, deadline: NOW + 7 },
    ],
    ["stored, left empty by a log-out", { ending: "renew", endsEmpty: true, empty: true }, idle, { kind: "destroy" }],
    [
      "stored, not left empty by a log-out",
      { ending: "renew", endsEmpty: true },
      absolute,
      { kind: "renew", expiry: NOW + DAY, deadline: NOW + DAY },
    ],
    ["stored, destroyed", { changed: true, ending: "destroy" }, idle, { kind: "destroy" }],
    ["ended", { phase: "ended", changed: true, ending: "renew" }, idle, { kind: "nothing" }],
    // It may go on under another token, as it does when a parallel request has renewed it.
    ["ended elsewhere, then destroyed", { phase: "ended", ending: "destroy" }, idle, { kind: "destroy" }],
    ["stale, changed", { phase: "stale", changed: true }, idle, { kind: "drop" }],
    ["stale, destroyed", { phase: "stale", changed: true, ending: "destroy" }, idle, { kind: "destroy" }],
    [
      "new in the place of another, destroyed",
      { ...fresh, presented: true, ending: "destroy" },
      idle,
      { kind: "destroy" },
    ],
    ["new in the place of another, unchanged", { ...fresh, presented: true }, absolute, { kind: "nothing" }],
  ];
  for (const [title, given, options, plan] of table) {
    it(`${title}: ${(plan as { kind: string }).kind}`, () => {
      expect(planCommit(state(given), options, NOW)).toEqual(plan);
    });
  }

  const instant = fc.integer({ min: NOW - 2 * DAY, max: NOW + 2 * DAY });
  const anyState: fc.Arbitrary<PlanState> = fc.record({
    phase: fc.constantFrom("new", "stored", "stale", "ended"),
    changed: fc.boolean(),
    empty: fc.boolean(),
    ending: fc.constantFrom(undefined, "renew", "destroy"),
    presented: fc.boolean(),
    formLifetime: fc.option(fc.integer({ min: 1, max: 2 * DAY }), { nil: undefined }),
    wasForm: fc.boolean(),
    keepDeadline: fc.boolean(),
    endsEmpty: fc.boolean(),
    deadline: fc.option(instant, { nil: undefined }),
    deadlineMoved: fc.boolean(),
    expiry: fc.option(instant, { nil: undefined }),
    lifetime: fc.option(fc.integer({ min: 1, max: 3 * DAY }), { nil: undefined }),
    idleTimeout: fc.option(fc.integer({ min: 0, max: 3 * DAY }), { nil: undefined }),
  });
  const anyOptions: fc.Arbitrary<PlanOptions> = fc
    .record({ lifetime: fc.integer({ min: 1, max: DAY }), share: fc.double({ min: 0, max: 1, noNaN: true }) })
    .map(({ lifetime, share }) => {
      const idleTimeout = Math.floor(lifetime * share);
      return { lifetime, idleTimeout, touchAfter: Math.floor(idleTimeout / 20) };
    });

  it("never lets a session live longer than idle timeout, lifetime and deadline allow", () => {
    fc.assert(
      fc.property(anyState, anyOptions, (any, options) => {
        const plan = planCommit(any, options, NOW);
        if (!("expiry" in plan)) return;
        const { idleTimeout = options.idleTimeout, lifetime = options.lifetime } = any;
        if (idleTimeout > 0) expect(plan.expiry).toBeLessThanOrEqual(NOW + idleTimeout);
        const allowed = Math.max(any.deadline ?? 0, any.expiry ?? 0, NOW + lifetime);
        expect(plan.expiry).toBeLessThanOrEqual(allowed);
        if (plan.kind === "touch") expect(plan.expiry).toBeGreaterThan(any.expiry ?? Number.NaN);
      }),
    );
  });

  it("writes nothing for what has ended, and never touches what has changed", () => {
    fc.assert(
      fc.property(anyState, anyOptions, (any, options) => {
        const { kind } = planCommit(any, options, NOW);
        if (any.phase === "ended" && any.ending !== "destroy") expect(kind).toBe("nothing");
        if (any.changed) expect(kind).not.toBe("touch");
        if (kind === "create") expect(any.phase).toBe("new");
        const endsEmpty = any.ending === "renew" && any.endsEmpty && any.empty && any.phase === "stored";
        if (kind === "destroy" && !endsEmpty) expect([any.ending, any.presented]).toEqual(["destroy", true]);
        if (["replace", "renew", "touch"].includes(kind)) expect(any.phase).toBe("stored");
      }),
    );
  });
});
