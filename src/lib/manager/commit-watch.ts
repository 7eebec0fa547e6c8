import { monotonicNow } from "../core/time.ts";
import { codeOf, type CommitEvent, publish } from "../core/events.ts";
import type { SessionState } from "../session/state.ts";
import type { CommitPlan } from "../session/plan.ts";

/** What is noted of a commit while it is under way. */
export interface CommitWatch {
  plan: CommitPlan["kind"];
  attempts: number;
}

/**
 * Carries out a commit, and tells the observers what it came to, unless there was nothing to do.
 *
 * @param commit - notes each attempt
 * @param publicId - what events may call a session
 */
export async function watchCommit(
  state: SessionState,
  commit: (watch: CommitWatch) => Promise<void>,
  publicId: (id: string) => string,
): Promise<void> {
  const watch: CommitWatch = { plan: "nothing", attempts: 0 };
  const begun = monotonicNow();
  const tell = (outcome: CommitEvent["outcome"], code?: string): void => {
    const { attempts } = watch;
    const id = state.id === undefined ? undefined : publicId(state.id);
    const plan = watch.plan === "nothing" ? undefined : watch.plan;
    const duration = monotonicNow() - begun;
    publish("commit", { id, duration, plan, outcome, attempts, ...(code === undefined ? {} : { code }) });
  };
  try {
    await commit(watch);
  } catch (error) {
    tell("failed", codeOf(error));
    throw error;
  }
  if (watch.plan === "nothing") return;
  // Whoever destroys a session wants it ended; all others want it to go on.
  tell(state.isOver && watch.plan !== "destroy" ? "gone" : "stored");
}
