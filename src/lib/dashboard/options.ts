import type { IncomingMessage } from "node:http";
import { OptionReader, wrong } from "../core/options.ts";
import type {
  DestroyAllOptions,
  DestroyByIdOptions,
  DestroyByUserOptions,
  ListOptions,
  UserSession,
} from "../manager/user-sessions.ts";
import type { StoreExtras } from "../core/store.ts";

/** A request as the server or the framework has it. */
export type DashboardRequest = Request | IncomingMessage;

/** Options of `dashboard`. */
export interface DashboardOptions<Req = DashboardRequest> {
  /**
   * Says who may see the dashboard and end sessions. Only `true` lets a request pass; `false` is a 403; a Response, to a page
   * for logging in, say, is the answer. It is asked for every request, with the framework's own request.
   */
  authorize: (request: Req) => boolean | Response | Promise<boolean | Response>;
  /** The path that it is mounted at, `"/admin/sessions"`, where no framework takes it off the URL. Default: none. */
  prefix?: string | undefined;
  /** What stands on top of each page. Default `"Sessions"`. */
  title?: string | undefined;
  /**
   * The id of the session of whoever looks at it: it is marked, and spared. Default: the one that the manager's middleware
   * has loaded.
   */
  currentSession?: ((request: Req) => string | undefined | Promise<string | undefined>) | undefined;
}

/** What the dashboard takes of a SessionManager, of whichever data. */
export interface DashboardManager {
  readonly options: { readonly hashTokens: boolean; readonly scope?: string | undefined };
  readonly store: Pick<StoreExtras, "follow" | "now" | "operations" | "users">;
  has(request: object): boolean;
  sessionOf(request: object): unknown;
  listByUser(userId: string, options?: ListOptions): Promise<UserSession[]>;
  destroyByUser(userId: string, options?: DestroyByUserOptions): Promise<number>;
  destroyAll(options?: DestroyAllOptions): Promise<number>;
  destroyById(id: string, options?: DestroyByIdOptions): Promise<boolean>;
  /** By the names that users have in the table. */
  readonly tableUsers?: Pick<DashboardManager, "listByUser" | "destroyByUser" | "destroyById">;
}

/** The options, checked and with their defaults. */
export interface ResolvedDashboard {
  manager: DashboardManager;
  authorize: (request: object) => unknown;
  /** Without a slash at its end; empty: none. */
  prefix: string;
  title: string;
  currentSession: ((request: object) => unknown) | undefined;
}

/** @throws TypeError that names the option */
export function resolveDashboard<Req>(
  manager: DashboardManager,
  options: DashboardOptions<Req> | undefined,
): ResolvedDashboard {
  const { listByUser, destroyByUser, destroyById } = (manager ?? {}) as Partial<DashboardManager>;
  if (![listByUser, destroyByUser, destroyById].every((method) => typeof method === "function")) {
    throw wrong("manager", "a SessionManager", manager);
  }
  if (!manager.options.hashTokens) {
    throw new TypeError("manager: with hashTokens: false its sessions' ids are tokens, which nobody may see");
  }
  const read = new OptionReader(options ?? {});
  const authorize = read.callback<ResolvedDashboard["authorize"]>("authorize");
  if (authorize === undefined) throw read.wrong("authorize", "a function that says who may see the dashboard");
  const prefix = read.value("prefix", "");
  if (typeof prefix !== "string" || !/^(?:\/[!"$-.0->@-~]+)*\/?$/.test(prefix)) {
    throw read.wrong("prefix", 'a path such as "/admin/sessions"');
  }
  const resolved = {
    manager: ofTheTable(manager),
    authorize,
    prefix: prefix.replace(/\/$/, ""),
    title: read.text("title", "Sessions"),
    currentSession: read.callback<NonNullable<ResolvedDashboard["currentSession"]>>("currentSession"),
  };
  read.end();
  return resolved;
}

/** The pages show every user of the table, of whichever scope, by the names that they have there. */
function ofTheTable(manager: DashboardManager): DashboardManager {
  const { options, store, tableUsers } = manager;
  if (options.scope === undefined || tableUsers === undefined) return manager;
  return {
    options,
    store,
    has: (request) => manager.has(request),
    sessionOf: (request) => manager.sessionOf(request),
    ...tableUsers,
    destroyAll: (all) => manager.destroyAll(all),
  };
}
