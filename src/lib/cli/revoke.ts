import { counted, shortId } from "../core/format-number.ts";
import { MAX_COUNTED_SESSIONS } from "../core/stats.ts";
import { type Answer, EXIT } from "./answer.ts";
import { confirmed, INTERRUPTED, interruptible, plain } from "./terminal.ts";
import { type CommonOptions, type Connection, onStore } from "./connection.ts";
import { UsageError } from "./failures.ts";
import { Progress } from "./progress.ts";
import { fullIdOf, usersOf } from "./user-sessions.ts";

/** Options of `revoke`. */
interface RevokeOptions extends CommonOptions {
  user?: string;
  id?: string;
  all?: boolean;
  except?: string;
  yes?: boolean;
}

type Ask = (question: string) => Promise<boolean>;

const DECLINED = "Nothing was revoked.";

/**
 * Revokes sessions. Requests that are under way don't bring them back.
 *
 * @param confirm - asks for confirmation
 */
export async function revoke(options: RevokeOptions, confirm = confirmed): Promise<Answer> {
  const { user, id, all, except, yes } = options;
  if (all === true ? user !== undefined || id !== undefined : user === undefined && id === undefined) {
    throw new UsageError("no sessions given. Pass --user, --id, or --all alone");
  }
  if (except !== undefined && (user === undefined || id !== undefined)) {
    throw new UsageError("--except: needs --user, and cannot be combined with --id");
  }
  return onStore(options, (connection) => {
    const ask: Ask = (question) => confirm(question, yes);
    if (all === true) return revokeAll(connection, ask);
    if (id !== undefined) return revokeOne(connection, id, user, ask);
    return revokeUser(connection, user ?? "", options, ask);
  });
}

async function revokeAll({ store, operations, table, location }: Connection, ask: Ask): Promise<Answer> {
  const { live, isEstimate } = await operations.stats();
  const many = `${isEstimate ? "about " : ""}${counted(live, "live session")}`;
  const question = `Revoke all sessions in ${table.quoted} in ${location}? That ends ${many}.`;
  if (!(await ask(question))) return undone(DECLINED);
  const progress = new Progress("revoke", live);
  let revoked = 0;
  const interrupted = await interruptible(progress, (signal) =>
    store.terminateAll((ids) => {
      revoked += ids.length;
      progress.update(revoked);
      signal.throwIfAborted();
    }),
  );
  return done(revoked, interrupted);
}

async function revokeOne({ store }: Connection, id: string, user: string | undefined, ask: Ask): Promise<Answer> {
  const full = user === undefined ? id : await fullIdOf(store, id, user);
  if (full !== undefined && !(await ask(`Revoke session ${plain(shortId(full))}?`))) return undone(DECLINED);
  const isRevoked = full !== undefined && (await store.terminate(full, "revoked", user)) !== undefined;
  if (isRevoked) return done(1);
  const hint = user === undefined ? " A shortened id also needs --user." : "";
  return undone(`There is no such live session.${hint}`);
}

async function revokeUser(
  { store, operations }: Connection,
  user: string,
  { except, yes }: RevokeOptions,
  ask: Ask,
): Promise<Answer> {
  const users = usersOf(store, user);
  const kept = except === undefined ? undefined : await fullIdOf(store, except, user);
  if (except !== undefined && kept === undefined) {
    throw new UsageError("--except: this user has no such live session, so nothing was revoked");
  }
  const exception = kept === undefined ? "" : ` except ${plain(shortId(kept))}`;
  const live = yes === true ? 0 : await operations.countSessions(user);
  const isMore = live >= MAX_COUNTED_SESSIONS;
  const ending = Math.max(0, live - (kept === undefined ? 0 : 1));
  const many = `${isMore ? "at least " : ""}${counted(ending, "live session")}`;
  if (!(await ask(`Revoke ${many} of ${plain(user)}${exception}?`))) return undone(DECLINED);
  const revoked = await users.end(user, kept === undefined ? [] : [kept]);
  return done(revoked.length);
}

function done(revoked: number, interrupted = false): Answer {
  const text = `${counted(revoked, "session")} revoked.${interrupted ? ` ${INTERRUPTED}` : ""}`;
  return { text, json: { ended: revoked, interrupted }, exitCode: interrupted ? EXIT.problem : EXIT.ok };
}

function undone(text: string): Answer {
  return { text, json: { ended: 0, interrupted: false }, exitCode: EXIT.problem };
}
