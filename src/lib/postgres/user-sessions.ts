import { PgStoreError, SchemaError, StoreUnavailableError } from "../base/errors.ts";
import { assertKey } from "../base/key.ts";
import type { ConditionalStore } from "../port/store.ts";
import type { OwnedEntry, OwnedPlace, OwnedWrite, Owner, TaggedEntry, UserStore } from "../port/users.ts";
import { type Row, textOf } from "./driver.ts";
import type { Engine } from "./engine.ts";
import type { Layout } from "./layout.ts";
import type { TableName } from "./table-name.ts";
import { sqlstateOf } from "./store-errors.ts";
import { arrayText, instantText, readInstant } from "./wire.ts";

/** Each needs a login in the moment between the beginning of a statement and its lock. */
const MOST_ENDS = 100;
/** undefined_table, undefined_column, insufficient_privilege */
const MISSING = /^(?:42P01|42703|42501)$/;
/** Later than any session. */
const LAST: OwnedPlace = { created: new Date(8.64e15), token: "" };

/**
 * Sessions by user, on the columns that `migrate` adds. On a table without a column for the user a login is stored as ever, but
 * it can't be found by its user: a warning tells once, and what asks for users throws SchemaError. Where the column is there,
 * the end of a user's sessions would miss a login that is stored without it: such a login is refused.
 */
export class UserSessions implements UserStore {
  readonly #engine: Engine;
  readonly #table: TableName;
  readonly #layout: Layout;
  readonly #plain: Pick<ConditionalStore, "create" | "renew">;
  /** The last login found no column for its user. */
  #isPlain = false;
  #hasWarned = false;

  /** @param plain - writes sessions without their user */
  constructor(engine: Engine, table: TableName, layout: Layout, plain: Pick<ConditionalStore, "create" | "renew">) {
    this.#engine = engine;
    this.#table = table;
    this.#layout = layout;
    this.#plain = plain;
  }

  create(token: string, data: Uint8Array, expiry: Date, owner: Owner): Promise<OwnedWrite> {
    const row = [this.#layout.encode(data), instantText(expiry), ...columnsOf(owner)];
    if (owner.tags !== undefined) {
      const tagged = [...row, arrayText(owner.tags)];
      return this.explained(this.#engine.writeAlone("createTagged", [assertKey(token), ...tagged]));
    }
    return this.#write(
      () => this.#engine.writeAlone("createFor", [assertKey(token), ...row]),
      () => this.#plain.create(token, data, expiry),
    );
  }

  renew(
    token: string,
    newToken: string,
    previous: Uint8Array,
    data: Uint8Array,
    expiry: Date,
    owner: Owner,
  ): Promise<OwnedWrite> {
    const { encode } = this.#layout;
    const row = [
      assertKey(newToken),
      encode(previous),
      encode(data),
      instantText(expiry),
      ...columnsOf(owner),
      owner.goesOn === true ? "1" : "",
    ];
    if (owner.tags !== undefined) {
      const tagged = [...row, arrayText(owner.tags)];
      return this.explained(this.#engine.writeAlone("renewTagged", [assertKey(token), ...tagged]));
    }
    return this.#write(
      () => this.#engine.writeAlone("renewFor", [assertKey(token), ...row]),
      () => this.#plain.renew(token, newToken, previous, data, expiry),
    );
  }

  async list(userId: string, limit: number, after: OwnedPlace = LAST): Promise<OwnedEntry[]> {
    const { run, userSql: sql } = this.#engine;
    const values = [userId, instantText(after.created, "after"), after.token, String(limit)];
    const rows = await this.explained(run(sql.list, values));
    return rows.map((row) => ({
      token: textOf(row, "token"),
      created: readInstant(row["created"]),
      lastSeen: readInstant(row["last_seen"]),
      expiry: readInstant(row["expiry"]),
      ip: row["ip"] ?? undefined,
      userAgent: row["user_agent"] ?? undefined,
    }));
  }

  async listByTag(tag: string, limit: number, after = ""): Promise<TaggedEntry[]> {
    const { run, userSql: sql } = this.#engine;
    const rows = await this.explained(run(sql.listByTag, [tag, after, String(limit)]));
    return rows.map((row) => ({ token: textOf(row, "token"), userId: textOf(row, "user_id") }));
  }

  async end(userId: string, except: readonly string[]): Promise<string[]> {
    const { run, userSql: sql } = this.#engine;
    const ended: string[] = [];
    for (let attempt = 1; attempt <= MOST_ENDS; attempt++) {
      const rows = await this.explained(run(sql.end, [userId, arrayText(except)]));
      ended.push(...tokensIn(rows));
      this.#engine.countEnded(tokensIn(rows).length);
      if (rows[0]?.["crossed"] !== "true") return ended;
    }
    throw new StoreUnavailableError(`somebody logged in during each of ${MOST_ENDS} attempts to end a user's sessions`);
  }

  async trim(userId: string, most: number): Promise<string[]> {
    const { run, userSql: sql } = this.#engine;
    return tokensIn(await this.explained(run(sql.trim, [userId, String(most)])));
  }

  /** Somebody has added the columns: logins are written with their user from now on. */
  lookAgain(): void {
    this.#isPlain = false;
    this.#engine.lookAgain();
  }

  /** @throws SchemaError when the table could say whose session it is, but this role or what is left of the schema does not */
  async #write(write: () => Promise<OwnedWrite>, plain: () => Promise<boolean>): Promise<OwnedWrite> {
    if (!this.#isPlain || (await this.#engine.lookForColumns()).owners) {
      try {
        const outcome = await write();
        this.lookAgain();
        return outcome;
      } catch (error) {
        if (!isMissing(error)) throw error;
        if ((await this.#engine.lookForColumns()).owners) throw this.#explain(error);
        this.#isPlain = true;
      }
    }
    const done = await plain();
    this.#warn();
    return done ? "done" : "refused";
  }

  /** @throws SchemaError that says what is missing for this, where the table is fine otherwise */
  async explained<T>(asked: Promise<T>): Promise<T> {
    try {
      const answer = await asked;
      this.lookAgain();
      return answer;
    } catch (error) {
      if (!isMissing(error)) throw error;
      throw this.#explain(error);
    }
  }

  #explain({ cause }: PgStoreError): SchemaError {
    return new SchemaError(this.#table.quoted, this.#remedy, { cause });
  }

  get #remedy(): string {
    const { quoted, users } = this.#table;
    return (
      `sessions by user and by tag need columns of table ${quoted} and the table ${users} which are not there, or not for this role: ` +
      `run store.migrate() or npx pgstore migrate, or GRANT SELECT, INSERT, UPDATE, DELETE ON ${users}`
    );
  }

  #warn(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    process.emitWarning(`A login was stored without its user: ${this.#remedy}`, {
      type: "PgStoreWarning",
      code: "PGSTORE_NO_USERS",
    });
  }
}

/** The columns or the tables are not there, or this role may not use them. */
function isMissing(error: unknown): error is PgStoreError {
  return error instanceof PgStoreError && MISSING.test(sqlstateOf(error.cause) ?? "");
}

function columnsOf({ userId, ip = "", userAgent = "" }: Owner): [string, string, string] {
  return [userId, ip, userAgent];
}

function tokensIn(rows: Row[]): string[] {
  return rows.flatMap(({ token }) => token ?? []);
}
