import { counted, shortId } from "../core/format-number.ts";
import { type Answer, EXIT } from "./answer.ts";
import { confirmed, INTERRUPTED, interruptible, plain } from "./terminal.ts";
import { type CommonOptions, connect, type Connection } from "./connection.ts";
import { UsageError } from "./failures.ts";
import { Progress } from "./progress.ts";
import { findId, usersOf } from "./user-sessions.ts";

/** Options of `revoke`. */
export interface RevokeOptions extends CommonOptions {
  user?: string;
  id?: string;
  all?: boolean;
  except?: string;
  yes?: boolean;
}

type Ask = typeof confirmed;

/**
 * Revokes sessions. Requests that are under way don't bring them back.
 *
 * @param ask - asks for confirmation
 */
export async function revoke(options: RevokeOptions, ask: Ask = confirmed): Promise<Answer> {
  const { user, id, all, except } = options;
  if (all === true ? user !== undefined || id !== undefined : user === undefined && id === undefined) {
    throw new UsageError("no sessions given. Pass --user, --id, or --all alone");
  }
  if (except !== undefined && (user === undefined || id !== undefined)) {
    throw new UsageError("--except: needs --user, and cannot be combined with --id");
  }
  const connection = await connect(options);
  try {
    if (all === true) return await revokeAll(connection, options, ask);
    if (id !== undefined) return await revokeOne(connection, id, options, ask);
    return await revokeUser(connection, user ?? "", options, ask);
  } finally {
    await connection.close();
  }
}

async function revokeAll(
  { store, operator, table, location }: Connection,
  { yes }: RevokeOptions,
  ask: Ask,
): Promise<Answer> {
  const live = await operator.estimateRows();
  const question = `Revoke every live session in ${table.quoted} (about ${counted(live, "row")}) in ${location}?`;
  if (!(await ask(question, yes))) return declined();
  const progress = new Progress("revoke", live);
  let revoked = 0;
  const interrupted = await interruptible((signal) =>
    store.terminateAll((ids) => {
      revoked += ids.length;
      progress.update(revoked);
      signal.throwIfAborted();
    }),
  ).finally(() => progress.finish());
  return done(revoked, interrupted);
}

async function revokeOne({ store }: Connection, id: string, { user, yes }: RevokeOptions, ask: Ask): Promise<Answer> {
  const full = user === undefined ? id : ((await findId(usersOf(store, user), user, id)) ?? (await store.follow(id)));
  if (full !== undefined && !(await ask(`Revoke session ${plain(shortId(full))}?`, yes))) return declined();
  const isRevoked = full !== undefined && (await store.terminate(full, "revoked", user)) !== undefined;
  if (isRevoked) return done(1);
  const hint = user === undefined ? " A shortened id also needs --user." : "";
  return {
    text: `There is no such live session.${hint}`,
    json: { ended: 0, interrupted: false },
    exitCode: EXIT.problem,
  };
}

async function revokeUser(
  { store }: Connection,
  user: string,
  { except, yes }: RevokeOptions,
  ask: Ask,
): Promise<Answer> {
  const users = usersOf(store, user);
  let kept = except === undefined ? undefined : await findId(users, user, except);
  if (except !== undefined && kept === undefined) {
    // Its token may have been renewed since it was listed.
    const successor = await store.follow(except);
    kept = successor && (await findId(users, user, successor));
  }
  if (except !== undefined && kept === undefined) {
    throw new UsageError("--except: this user has no such live session, so nothing was revoked");
  }
  const exception = kept === undefined ? "" : ` except ${plain(shortId(kept))}`;
  if (!(await ask(`Revoke the live sessions of ${plain(user)}${exception}?`, yes))) return declined();
  const revoked = await users.end(user, kept === undefined ? [] : [kept]);
  return done(revoked.length);
}

function done(revoked: number, interrupted = false): Answer {
  const text = `${counted(revoked, "session")} revoked.${interrupted ? ` ${INTERRUPTED}` : ""}`;
  return { text, json: { ended: revoked, interrupted }, exitCode: interrupted ? EXIT.problem : EXIT.ok };
}

function declined(): Answer {
  return { text: "Nothing was revoked.", json: { ended: 0, interrupted: false }, exitCode: EXIT.problem };
}
