import type { IncomingMessage } from "node:http";
import { OptionReader, wrong } from "../core/options.ts";
import type { StoreExtras } from "../core/store.ts";
import type { SessionManager } from "../manager/session-manager.ts";

/** A request of the server or the framework. */
export type DashboardRequest = Request | IncomingMessage;

/** A user as the application knows it. */
export interface UserDescription {
  /** Name for people, such as `"Ada Lovelace"`. Shown beside the id. */
  name?: string | undefined;
  /** Address of the user's page in the application: relative, or with the scheme http or https. Others are left out. */
  href?: string | undefined;
}

/** Descriptions by user id. Users may be missing. */
export type DescribedUsers = ReadonlyMap<string, UserDescription> | Readonly<Record<string, UserDescription>>;

/** Options of `dashboard`. */
export interface DashboardOptions<Req = DashboardRequest> {
  /**
   * Decides who may see the dashboard and revoke sessions. It is called for every request, with the framework's own request. Only
   * `true` lets the request pass. A Response, such as a redirect to a login, is sent as it is. Anything else is a 403.
   */
  authorize: (request: Req) => boolean | Response | Promise<boolean | Response>;
  /** Path of the dashboard, `"/admin/sessions"`, where no framework takes it off the URL. Default: none. */
  prefix?: string | undefined;
  /** Title on top of each page. Default `"Sessions"`. */
  title?: string | undefined;
  /**
   * Returns the id of the viewer's own session, which the pages mark and spare. Default: the session that the manager's middleware
   * has loaded.
   */
  currentSession?: ((request: Req) => string | undefined | Promise<string | undefined>) | undefined;
  /**
   * Returns names and links for users. It is called once for a page, with the ids of at most 100 users as they are in the table. If it throws or
   * takes longer than 2 seconds, the page shows the ids alone.
   */
  describeUser?: ((userIds: string[]) => DescribedUsers | Promise<DescribedUsers>) | undefined;
}

/** Lists and revokes sessions by user. */
export type SessionsByUser = Pick<SessionManager, "listByUser" | "destroyByUser" | "destroyById">;

/** The part of a SessionManager that the dashboard uses, with any data. */
export interface DashboardManager extends SessionsByUser, Pick<SessionManager, "has" | "destroyAll"> {
  readonly options: { readonly hashTokens: boolean; readonly scope?: string | undefined };
  readonly store: Pick<StoreExtras, "follow" | "now" | "operations" | "users">;
  sessionOf(request: object): unknown;
  /** The same by the user ids of the table, which have the scope in front. */
  readonly tableUsers?: SessionsByUser;
}

/** Options of `dashboard`, checked and with their defaults. */
export type ResolvedDashboard = ReturnType<typeof resolveDashboard>;

/** Checks the options of `dashboard`. @throws TypeError that names the option */
export function resolveDashboard<Req>(manager: DashboardManager, options: DashboardOptions<Req> | undefined) {
  const { listByUser, destroyByUser, destroyById } = (manager ?? {}) as Partial<DashboardManager>;
  if (![listByUser, destroyByUser, destroyById].every((method) => typeof method === "function")) {
    throw wrong("manager", "a SessionManager", manager);
  }
  if (!manager.options.hashTokens) {
    throw new TypeError(
      "manager: expected hashed tokens, got hashTokens: false: its ids are tokens. Pass a SessionManager without that option",
    );
  }
  const read = new OptionReader(options ?? {});
  const authorize = read.callback<(request: object) => unknown>("authorize");
  if (authorize === undefined) throw read.wrong("authorize", "a function that says who may see the dashboard");
  const prefix = read.text("prefix", "", 'a path such as "/admin/sessions"', /^(?:\/[!"$-.0->@-~]+)*\/?$/);
  const users: SessionsByUser = (manager.options.scope === undefined ? undefined : manager.tableUsers) ?? manager;
  const resolved = {
    manager,
    /** Sees the users of every scope, by their ids in the table. */
    users,
    authorize,
    /** Has no slash at its end. Empty: no prefix. */
    prefix: prefix.replace(/\/$/, ""),
    title: read.text("title", "Sessions"),
    currentSession: read.callback<(request: object) => unknown>("currentSession"),
    describeUser: read.callback<NonNullable<DashboardOptions["describeUser"]>>("describeUser"),
  };
  read.end();
  return resolved;
}
