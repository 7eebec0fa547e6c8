import { counted, shortId } from "../core/format-number.ts";
import { type Answer, EXIT } from "./answer.ts";
import { confirmed, INTERRUPTED, interruptible, plain } from "./terminal.ts";
import { type CommonOptions, connect, type Connection } from "./connection.ts";
import { UsageError } from "./failures.ts";
import { Progress } from "./progress.ts";
import { findId, usersOf } from "./user-sessions.ts";

/** What `revoke` takes besides. */
export interface RevokeOptions extends CommonOptions {
  user?: string;
  id?: string;
  all?: boolean;
  except?: string;
  yes?: boolean;
}

type Ask = typeof confirmed;

/**
 * Ends sessions: their requests that are under way bring none of them back.
 *
 * @param ask - asks whether to go on
 */
export async function revoke(options: RevokeOptions, ask: Ask = confirmed): Promise<Answer> {
  const { user, id, all, except } = options;
  if (all === true ? user !== undefined || id !== undefined : user === undefined && id === undefined) {
    throw new UsageError("which sessions? Give --user, or --id, or --all");
  }
  if (except !== undefined && (user === undefined || id !== undefined)) {
    throw new UsageError("--except goes with --user, and not with --id");
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
  const question = `End every live session in ${table.quoted}, about ${counted(live, "row")}, in ${location}?`;
  if (!(await ask(question, yes))) return declined();
  const progress = new Progress("revoke", live);
  let ended = 0;
  const interrupted = await interruptible((signal) =>
    store.terminateAll((tokens) => {
      ended += tokens.length;
      progress.update(ended);
      signal.throwIfAborted();
    }),
  ).finally(() => progress.finish());
  return done(ended, interrupted);
}

async function revokeOne({ store }: Connection, id: string, { user, yes }: RevokeOptions, ask: Ask): Promise<Answer> {
  const full = user === undefined ? id : ((await findId(usersOf(store, user), user, id)) ?? (await store.follow(id)));
  if (full !== undefined && !(await ask(`End the session ${plain(shortId(full))}?`, yes))) return declined();
  const isEnded = full !== undefined && (await store.terminate(full, "revoked", user)) !== undefined;
  if (isEnded) return done(1);
  const hint = user === undefined ? " A shortened id needs --user besides." : "";
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
  let spared = except === undefined ? undefined : await findId(users, user, except);
  if (except !== undefined && spared === undefined) {
    // It may have got another token since it was listed.
    const now = await store.follow(except);
    spared = now && (await findId(users, user, now));
  }
  if (except !== undefined && spared === undefined) {
    throw new UsageError("--except: this user has no such live session, so none is ended");
  }
  const but = spared === undefined ? "" : ` but ${plain(shortId(spared))}`;
  if (!(await ask(`End the live sessions of ${plain(user)}${but}?`, yes))) return declined();
  const ended = await users.end(user, spared === undefined ? [] : [spared]);
  return done(ended.length);
}

function done(ended: number, interrupted = false): Answer {
  const text = `${counted(ended, "session")} ended.${interrupted ? ` ${INTERRUPTED}` : ""}`;
  return { text, json: { ended, interrupted }, exitCode: interrupted ? EXIT.problem : EXIT.ok };
}

function declined(): Answer {
  return { text: "Nothing is ended.", json: { ended: 0, interrupted: false }, exitCode: EXIT.problem };
}
