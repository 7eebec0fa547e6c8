import type { SessionRecord } from "./state.ts";
import type { PlanState } from "./plan.ts";

/** What the plan depends on, of a session as it is now. */
export function planStateOf(record: SessionRecord): PlanState {
  const { phase, changed, ending, deadline, deadlineMoved, row } = record;
  return {
    phase,
    changed,
    empty: record.isEmpty,
    presented: record.isPresented,
    ending: ending?.kind,
    formLifetime: record.formLifetime,
    wasForm: record.wasForm,
    keepDeadline: ending?.kind === "renew" && ending.keepDeadline,
    deadline: deadline?.getTime(),
    deadlineMoved,
    expiry: row?.expiry.getTime(),
    ...record.ownTimes,
  };
}
