import { shortId } from "../core/format-number.ts";
import type { OwnedEntry, OwnedPlace } from "../core/store.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, onStore } from "./connection.ts";
import { UsageError } from "./failures.ts";
import type { Style } from "./style.ts";
import { columns, instant, plain, relative } from "./terminal.ts";
import { usersOf } from "./user-sessions.ts";

/** Lists a page of a user's live sessions, the newest first. */
export async function list(options: CommonOptions & { user: string; limit: number; after?: string }): Promise<Answer> {
  const { user, limit, after } = options;
  const place = after === undefined ? undefined : placeOf(after);
  return onStore(options, async ({ store }) => {
    // One more than is shown, to learn whether there is another page.
    const found = await usersOf(store, user).list(user, limit + 1, place);
    const shown = found.slice(0, limit);
    const last = shown.at(-1);
    const next = found.length > limit && last !== undefined ? cursorOf(last) : undefined;
    const sessions = shown.map(({ id, ip = null, userAgent = null, ...rest }) => ({
      id: shortId(id),
      ...rest,
      ip,
      userAgent,
    }));
    const json = { user, sessions, next: next ?? null };
    const now = await store.now();
    return { text: (style) => textOf(shown, next, now, style), json, exitCode: EXIT.ok };
  });
}

/** @param now - milliseconds since 1970 by the database's clock */
function textOf(sessions: OwnedEntry[], next: string | undefined, now: number, style: Style): string {
  if (sessions.length === 0) return "No live session.";
  // A terminal has no room for three instants beside the browser.
  const at = (date: Date): string => (style.isTTY ? relative(date, now) : instant(date));
  const rows = sessions.map(({ id, created, lastSeen, expiry, ip, userAgent }) => [
    plain(shortId(id)),
    at(created),
    at(lastSeen),
    at(expiry),
    plain(ip ?? ""),
    plain(userAgent ?? ""),
  ]);
  const table = columns([["ID", "CREATED", "LAST SEEN", "ENDS", "IP", "USER AGENT"], ...rows], { style });
  return next === undefined ? table : `${table}\n${style.dim("More:")} --after ${next}`;
}

/** Makes a cursor of the last session of a page. The beginning of its id is enough, because the list descends: it is less than the id. */
function cursorOf({ created, id }: OwnedEntry): string {
  return `${created.getTime()}.${shortId(id)}`;
}

function placeOf(cursor: string): OwnedPlace {
  const [, milliseconds, id] = /^(-?\d{1,16})\.(.+)$/.exec(cursor) ?? [];
  const created = new Date(Number(milliseconds));
  if (id === undefined || Number.isNaN(created.getTime())) {
    throw new UsageError("--after: expected the `next` of the page before");
  }
  return { created, id };
}
