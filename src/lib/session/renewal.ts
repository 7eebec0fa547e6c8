import { createToken } from "../core/token.ts";
import type { SessionHost } from "./host.ts";
import type { SessionState } from "./state.ts";
import type { Renewal } from "./transition.ts";
import type { Change } from "./values.ts";

/** The manner of a move to a new token. */
export type RenewalOptions = Pick<Renewal, "keepDeadline" | "revive" | "isLogOut">;

/**
 * Moves a session to a new token, at once if it has a row.
 *
 * @param operation - the method that was called, for an error
 * @param changes - made with the move, and undone if it fails
 * @throws StoreUnavailableError or StoreError when the store fails; AlreadyCommittedError when the session is already committed
 */
export function moveToNewToken(
  state: SessionState,
  host: SessionHost,
  operation: string,
  changes: readonly Change[],
  options: RenewalOptions,
): Promise<void> {
  return whenIdle(state, operation, async () => {
    planRenewal(state, changes, options);
    if (state.phase === "stored") await host.flush(state);
    else await host.begin?.(state, changes);
  });
}

/**
 * Acts as soon as no commit is under way, at once if none is. A commit decides whether there is a row, and reports its failure to its own
 * caller.
 *
 * @param operation - the method that was called, for an error
 * @throws AlreadyCommittedError when the session is already committed
 */
export async function whenIdle(state: SessionState, operation: string, act: () => Promise<void>): Promise<void> {
  state.assertWritable(operation, undefined);
  while (state.pending !== undefined) {
    await state.pending.catch(() => {});
    state.assertWritable(operation, undefined);
  }
  await act();
}

/**
 * Plans a move to a new token for the next commit, without a query. Call it only while no commit is under way.
 *
 * @param changes - made now, and undone if the commit fails
 * @param earlier - changes that were made before and are undone as well
 */
export function planRenewal(
  state: SessionState,
  changes: readonly Change[],
  options: RenewalOptions,
  earlier: readonly Change[] = [],
): void {
  const token = createToken();
  if (options.revive && state.isOver) state.restart(token, "replaced");
  if (options.revive) state.markDeliberate();
  for (const change of changes) state.values.apply(change);
  if (state.phase === "stored") state.plan({ kind: "renew", token, changes: [...earlier, ...changes], ...options });
  else state.changeToken(token);
}
