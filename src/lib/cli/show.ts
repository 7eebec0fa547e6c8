import { Buffer } from "node:buffer";
import { goJson } from "../codec/go-json.ts";
import { scsJson } from "../codec/scs-json.ts";
import { bytes, counted, shortId } from "../core/format-number.ts";
import type { FoundSession } from "../core/stats.ts";
import type { Value } from "../core/value.ts";
import { parseSession } from "../express-session/data.ts";
import { USER_COLUMNS } from "../postgres/sql/tables.ts";
import { isReserved, LOGGED_IN_AT, numberIn, REMEMBER_ME, tagsIn } from "../session/values.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, type Connection, onStore } from "./connection.ts";
import { UsageError } from "./failures.ts";
import { hanging, type Style } from "./style.ts";
import { columns, instant, plain } from "./terminal.ts";
import { fullIdOf } from "./user-sessions.ts";

/** A key of a session's data, without its value. */
interface ShownKey {
  key: string;
  type: string;
  bytes: number;
}

/** A session's data without its values. Undefined: they are not in a format that pgstore reads without the application. */
interface Contents {
  keys: ShownKey[];
  /** Milliseconds since 1970 by the store's clock. */
  loggedInAt?: number | undefined;
  isRemembered: boolean;
  tags: string[];
}

/** Shows one live session: who, when and where from, and the keys and sizes of its data. Never a value, never a token. */
export async function show(options: CommonOptions & { id: string; user?: string }): Promise<Answer> {
  const { id, user } = options;
  if (id === "") throw new UsageError("--id: expected an id or its beginning, got an empty string");
  return onStore(options, async (connection) => {
    const { store, layout } = connection;
    const full = await fullIdOf(store, id, user);
    const found = full === undefined ? undefined : await store.lookUp(full);
    if (full === undefined || found === undefined) return missing(id, user);
    if (typeof found === "string") return missing(id, user, found);
    const owned = layout.users ? await ownedBy(connection, full) : undefined;
    if (user !== undefined && owned?.userId !== user) return missing(id, user);
    return answerOf(shortId(full), owned, found.expiry, found.data, contentsOf(found.data, found.expiry));
  });
}

/** Reads who has logged in. A table of SCS doesn't say. */
async function ownedBy({ operations, operator }: Connection, id: string): Promise<FoundSession | undefined> {
  const names = new Set((await operator.listObjects()).map(({ name }) => name));
  return USER_COLUMNS.every(({ name }) => names.has(name)) ? operations.findSession(id) : undefined;
}

/** @param reason - why the session ended, if it did so a short while ago */
function missing(id: string, user: string | undefined, reason?: string): Answer {
  const hint = user === undefined ? " A shortened id also needs --user." : "";
  const text =
    reason === undefined
      ? `There is no such live session.${hint}`
      : `Session ${plain(shortId(id))} was ${reason} a short while ago.`;
  return { text, json: { session: null, ended: reason ?? null }, exitCode: EXIT.problem };
}

function contentsOf(data: Uint8Array, expiry: Date): Contents | undefined {
  try {
    const { values } = scsJson.decode(data);
    return {
      keys: [...values].filter(([key]) => !isReserved(key)).map(([key, value]) => shownKey(key, value)),
      loggedInAt: numberIn(values, LOGGED_IN_AT),
      isRemembered: values.get(REMEMBER_ME) === true,
      tags: tagsIn(values),
    };
  } catch {
    // The form of express-session has no deadline.
    const session = parseSession(data, expiry);
    if (session === undefined) return undefined;
    const entries = Object.entries(session).filter(([key]) => key !== "cookie");
    return { keys: entries.map(([key, value]) => shownKey(key, value as Value)), isRemembered: false, tags: [] };
  }
}

function shownKey(key: string, value: Value): ShownKey {
  return { key, type: typeOf(value), bytes: Buffer.byteLength(goJson(value, [key], [])) };
}

function typeOf(value: Value): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (value instanceof Date) return "date";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value;
}

function answerOf(
  id: string,
  owned: FoundSession | undefined,
  expiry: Date,
  data: Uint8Array,
  contents: Contents | undefined,
): Answer {
  const { userId: user = null, created = null, lastSeen = null, ip = null, userAgent = null } = owned ?? {};
  const { keys = null, loggedInAt, isRemembered: remembered = null, tags = null } = contents ?? {};
  const authenticated = loggedInAt === undefined ? null : new Date(loggedInAt);
  const isLater = authenticated !== null && authenticated.getTime() - Number(created ?? 0) >= 1000;
  const known = { id, user, created, authenticated, lastSeen, expiry, ip, userAgent, remembered, tags };
  const at = (date: Date | null): string => (date === null ? "" : instant(date));
  const text = (style: Style): string => {
    const lines: [string, string][] = [
      ["User", user === null ? "not logged in" : plain(user)],
      ["Logged in", at(created)],
      ["Last proof of identity", isLater ? at(authenticated) : ""],
      ["Last seen", at(lastSeen)],
      ["Ends", `${at(expiry)}${remembered === true ? ", remembered" : ""}`],
      ["IP", plain(ip ?? "")],
      ["User agent", plain(userAgent ?? "")],
      ["Tags", (tags ?? []).map(plain).join(", ")],
      ["Data", `${bytes(data.length)}${keys === null ? "" : `, ${counted(keys.length, "key")}`}`],
    ];
    const shown = lines.filter(([, value]) => value !== "");
    const width = Math.max(...shown.map(([name]) => name.length));
    return [
      style.bold(`Session ${plain(id)}`),
      ...shown.map(([name, value]) => hanging(`  ${name.padEnd(width)}  `, value, style, undefined, style.dim)),
      ...tableOf(keys, style),
    ].join("\n");
  };
  return { text, json: { session: { ...known, bytes: data.length, keys } }, exitCode: EXIT.ok };
}

function tableOf(keys: ShownKey[] | null, style: Style): string[] {
  if (keys === null) return ["", "The keys can't be listed: the data are encrypted, or in a codec of the application."];
  if (keys.length === 0) return [];
  const rows = keys.map(({ key, type, bytes: size }) => [plain(key), type, bytes(size)]);
  return ["", columns([["KEY", "TYPE", "SIZE"], ...rows], { style })];
}
