import { describe, expect, it } from "vitest";
import { judge } from "./check.ts";
import type { SoakEvent } from "./event.ts";

const at = (from: number, one: Partial<SoakEvent>): SoakEvent => ({
  kind: "read",
  token: "t",
  session: "s",
  outcome: "done",
  from,
  to: from + 1,
  ...one,
});
const create = at(0, { kind: "create" });
const set = (from: number, value: number, more: Partial<SoakEvent> = {}): SoakEvent =>
  at(from, { kind: "set", key: "k", value, ...more });
const update = (from: number, more: Partial<SoakEvent> = {}): SoakEvent => at(from, { kind: "update", ...more });
const read = (from: number, values: Record<string, number>, more: Partial<SoakEvent> = {}): SoakEvent =>
  at(from, { values, ...more });
const none = (from: number, token = "t"): SoakEvent => at(from, { token, session: undefined, values: {} });

const renew = at(10, { kind: "renew", next: "u" });

describe("judge", () => {
  const cases: Record<
    string,
    [history: SoakEvent[], problems: [losses: number, resurrections: number, leaks: number]]
  > = {
    "accepts what is as it was acknowledged": [
      [create, set(10, 1), update(20), read(30, { k: 1, n: 1 })],
      [0, 0, 0],
    ],
    "accepts either outcome of what failed": [
      [
        create,
        set(10, 1, { outcome: "unknown" }),
        update(20, { outcome: "unknown" }),
        read(30, { k: 1, n: 1 }),
        read(40, {}),
      ],
      [0, 0, 0],
    ],
    "accepts either order of what overlaps": [
      [create, set(10, 1, { to: 30 }), read(20, {}), read(21, { k: 1 })],
      [0, 0, 0],
    ],
    "notices a session that lives on after it was ended under its old token": [
      [create, renew, at(20, { kind: "destroy" }), read(30, {}, { token: "u" })],
      [0, 1, 0],
    ],
    "notices a login that lives on after its user's sessions were ended": [
      [create, { ...renew, isLogin: true }, at(20, { kind: "revoke", by: "user" }), read(30, {}, { token: "u" })],
      [0, 1, 0],
    ],
    "accepts that a session without a login lives on then, and that one which was ended is gone": [
      [
        create,
        renew,
        at(20, { kind: "revoke", by: "tag" }),
        read(30, {}, { token: "u" }),
        at(40, { kind: "revoke", by: "id" }),
        none(50, "u"),
      ],
      [0, 0, 0],
    ],
    "notices a value that is lost": [
      [create, set(10, 1), set(20, 2), read(30, { k: 1 })],
      [1, 0, 0],
    ],
    "notices a key that is lost": [
      [create, set(10, 1), read(30, {})],
      [1, 0, 0],
    ],
    "notices a step that is lost": [
      [create, update(10), update(20), read(30, { n: 1 })],
      [1, 0, 0],
    ],
    "notices a step that was taken twice": [
      [create, update(10), read(30, { n: 2 })],
      [0, 0, 1],
    ],
    "notices a write that was dropped and is there": [
      [create, set(10, 1, { outcome: "dropped" }), read(30, { k: 1 })],
      [0, 0, 1],
    ],
    "notices a session that vanished": [
      [create, none(10)],
      [1, 0, 0],
    ],
    "notices what comes back after a destroy": [
      [create, at(10, { kind: "destroy" }), read(20, {})],
      [0, 1, 0],
    ],
    "accepts it beside the destroy, and after one that failed": [
      [
        create,
        at(10, { kind: "destroy", to: 30 }),
        read(20, {}),
        none(25),
        at(40, { kind: "destroy", outcome: "unknown" }),
        none(50),
      ],
      [0, 0, 0],
    ],
    "notices an old token that still works": [
      [create, at(10, { kind: "renew", next: "u" }), read(20, {})],
      [0, 1, 0],
    ],
    "follows a session to its new token": [
      [create, set(5, 1), at(10, { kind: "renew", next: "u" }), none(20), read(30, {}, { token: "u" })],
      [1, 0, 0],
    ],
    "notices data of another session": [
      [create, at(1, { kind: "create", token: "u", session: "other" }), read(20, {}, { token: "u" })],
      [0, 0, 1],
    ],
    "notices a value that nobody wrote": [
      [create, set(10, 1), read(20, { k: 7 })],
      [0, 0, 1],
    ],
  };
  for (const [title, [history, [losses, resurrections, leaks]]] of Object.entries(cases)) {
    it(title, () => {
      const verdict = judge(history);
      expect(
        [verdict.losses.length, verdict.resurrections.length, verdict.leaks.length],
        JSON.stringify(verdict),
      ).toEqual([losses, resurrections, leaks]);
    });
  }

  it("counts", () => {
    const history = [
      create,
      set(10, 1),
      update(20, { outcome: "unknown" }),
      update(30, { outcome: "dropped" }),
      read(40, { k: 1 }),
    ];
    expect(judge(history)).toMatchObject({ operations: 5, acknowledged: 2, unknown: 1 });
  });
});
