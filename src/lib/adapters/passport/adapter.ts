import { OptionReader } from "../../core/options.ts";
import type { Session } from "../../session/session.ts";
import { type Migration, type MigrationOptions, readMigration } from "../migration.ts";
import type { PropertyOptions } from "../property.ts";
import { type PassportOptions, readPassport, type UserPlace } from "./options.ts";
import { passportSession } from "./session.ts";

/** Options of the adapters for Express, Fastify and Koa. */
export interface AdapterOptions<Property extends string = string> extends PropertyOptions<Property> {
  /**
   * Whether the session also has the interface that Passport expects: its values as properties, `regenerate(callback)`
   * and `save(callback)`. Each login and log-out of Passport then renews the token, and binds or unbinds the user for
   * `listByUser`. Default false.
   */
  passport?: boolean | PassportOptions | undefined;
  /**
   * Sessions of express-session to continue. A request with that package's cookie and without pgstore's gets the values
   * and the user of its session, and the old session ends. For the last step of a migration. Default: none.
   */
  migrateFrom?: MigrationOptions | undefined;
}

/** The options of an adapter, checked and with their defaults. */
interface ResolvedAdapter {
  property: string;
  /** Returns the object that the property holds for a session. */
  view: (session: object) => unknown;
  migrate: Migration | undefined;
}

/**
 * Checks the options of an adapter.
 *
 * @throws TypeError, naming the option, when one is wrong
 */
export function readAdapterOptions(
  { options: { lazy } }: { options: { lazy: boolean } },
  options: AdapterOptions,
  place: UserPlace,
): ResolvedAdapter {
  const read = new OptionReader(options);
  const property = read.text("property", "session");
  const passport = readPassport(read.value("passport"), lazy, place);
  const migrate = readMigration(read.value("migrateFrom"), passport);
  read.end();
  if (passport === undefined) return { property, migrate, view: (session) => session };
  return { property, migrate, view: (session) => passportSession(session as Session, passport) };
}
