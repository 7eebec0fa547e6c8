import { count, counted } from "../core/format-number.ts";
import { MAX_COUNTED_SESSIONS, MAX_SORTED_ROWS, type UserEntry, type UserOrder, type UserPage } from "../core/stats.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, onStore } from "./connection.ts";
import { UsageError } from "./failures.ts";
import type { Style } from "./style.ts";
import { columns, instant, plain, shellQuoted } from "./terminal.ts";

/** Orders by the values of `--sort`. */
export const ORDERS = { name: "name", sessions: "sessions", login: "lastLogin" } satisfies Record<string, UserOrder>;

/** Options of `users`. */
interface UsersOptions extends CommonOptions {
  prefix?: string;
  sort: keyof typeof ORDERS;
  limit: number;
  after?: string;
}

/** Lists a page of users with their numbers of live sessions and their last logins. */
export async function users(options: UsersOptions): Promise<Answer> {
  const { prefix = "", sort, limit, after } = options;
  // Names are a place in the order by name. In the other orders it is the number of users before.
  const place = sort === "name" ? { after } : { offset: offsetOf(after) };
  return onStore(options, async ({ operations, layout }) => {
    if (!layout.users) throw new UsageError("this table has no sessions by user");
    // One more than is shown, to learn whether there is another page.
    const page = await operations.listUsers({ prefix, order: ORDERS[sort], limit: limit + 1, ...place });
    const shown = page.users.slice(0, limit);
    const hasMore = page.users.length > limit;
    const next = !hasMore
      ? null
      : sort === "name"
        ? (shown.at(-1)?.userId ?? null)
        : String((place.offset ?? 0) + limit);
    const json = {
      users: shown.map(({ userId, sessions, lastLogin }) => ({ user: userId, sessions, lastLogin })),
      sorted: page.sorted,
      next,
    };
    return { text: (style) => textOf(shown, page.sorted, next, style), json, exitCode: EXIT.ok };
  });
}

function offsetOf(after: string | undefined): number {
  if (after === undefined) return 0;
  if (/^\d{1,9}$/.test(after)) return Number(after);
  throw new UsageError("--after: expected the `next` of the page before, of the same --sort");
}

function textOf(shown: UserEntry[], sorted: UserPage["sorted"], next: string | null, style: Style): string {
  if (shown.length === 0) return "No user.";
  const rows = shown.map(({ userId, sessions, lastLogin }) => [
    plain(userId),
    count(sessions) + (sessions < MAX_COUNTED_SESSIONS ? "" : " or more"),
    instant(lastLogin),
  ]);
  const notes = {
    all: undefined,
    some: `Only ${counted(MAX_SORTED_ROWS, "row")} were sorted, as more match.`,
    sample: "Sorted by a sample of the table: users with few sessions may be missing.",
  };
  const note = notes[sorted];
  return [
    columns([["USER", "SESSIONS", "LAST LOGIN"], ...rows], { style }),
    ...(note === undefined ? [] : [style.dim(note)]),
    ...(next === null ? [] : [`${style.dim("More:")} --after ${shellQuoted(plain(next))}`]),
  ].join("\n");
}
