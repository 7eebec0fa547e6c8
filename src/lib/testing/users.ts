import { OptionReader, wrong } from "../core/options.ts";
import type { CommitResult } from "../manager/commit-result.ts";
import type { ResolvedOptions } from "../manager/options.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { LoginOptions } from "../session/login-options.ts";
import type { Session } from "../session/session.ts";
import type { SessionData, SessionKey, SessionValue } from "../session/session-data.ts";

/** The user and the session that a test begins with. Needs `userId` or at least one value in `data`. */
export interface TestUser<Data = SessionData> {
  /** The user who is logged in. Default: an anonymous visitor. */
  userId?: string | undefined;
  /** The values of the session. */
  data?: { [K in SessionKey<Data>]?: SessionValue<Data, K> | undefined } | undefined;
  /** The options of the login, as `session.login` takes them: `remember`, `lifetime`, `idleTimeout`, `tags`. */
  login?: Omit<LoginOptions, "keep"> | undefined;
}

/** A cookie in the form of Playwright's `storageState`. */
export interface StoredCookie {
  name: string;
  value: string;
  /** The host that gets the cookie. It begins with a dot when subdomains get it, too. */
  domain: string;
  path: string;
  /** Seconds since 1970. -1: the cookie ends with the browser's session. */
  expires: number;
  httpOnly: boolean;
  secure: boolean;
  sameSite: "Lax" | "Strict" | "None";
}

/** A state of a browser that Playwright's `browser.newContext({ storageState })` begins with. */
export interface StorageState {
  cookies: StoredCookie[];
  origins: { origin: string; localStorage: { name: string; value: string }[] }[];
}

/** A live session for a test, in the forms that test clients take. */
export interface TestSession {
  /** The request headers of the user: `cookie`, or `authorization` for a manager with the transport "header". */
  readonly headers: Record<string, string>;
  /** The cookie by name, as `app.inject({ cookies })` takes it. Empty with the transport "header". */
  readonly cookies: Record<string, string>;
  /** The token that the cookie carries. */
  readonly token: string;
  /** The key of the session's row, for `manager.destroyById(id)`. */
  readonly id: string;
  /**
   * Returns the state of a browser that is logged in, for Playwright.
   *
   * @param url - the address of the application, such as `"http://localhost:3000"`
   * @throws TypeError when it is not an address, or the manager's transport is "header"
   */
  storageState(url: string): StorageState;
}

/**
 * Logs a user in for a test, without a request, and resolves to the Cookie header of that user.
 *
 * @param user - the user's id, or `{ userId, data, login }`
 * @returns the value of a request's Cookie header: `name=token`
 * @throws TypeError when an option is wrong, or the manager's transport is "header"; StoreUnavailableError or StoreError when the store fails
 * @example
 * const cookie = await cookieFor(manager, { userId: "ada", data: { cart: ["book"] } });
 * await fetch(url, { headers: { cookie } });
 */
export async function cookieFor<Data = SessionData>(
  manager: SessionManager<Data, boolean>,
  user: string | TestUser<Data>,
): Promise<string> {
  assertCookies(manager.options, "cookieFor");
  const { cookie = "" } = (await as(manager, user)).headers;
  return cookie;
}

/**
 * Logs a user in for a test, without a request, and resolves to the headers, the cookies and the browser state of that user.
 *
 * @param user - the user's id, or `{ userId, data, login }`
 * @throws TypeError when an option is wrong; StoreUnavailableError or StoreError when the store fails
 * @example
 * const ada = await as(manager, "ada");
 * await request(app).get("/account").set(ada.headers).expect(200); // supertest
 */
export async function as<Data = SessionData>(
  manager: SessionManager<Data, boolean>,
  user: string | TestUser<Data>,
): Promise<TestSession> {
  const { userId, data, login } = read(typeof user === "string" ? { userId: user } : user);
  const session = await manager.load();
  for (const [key, value] of Object.entries(data)) {
    if (value !== undefined) (session as unknown as Session<object>).set(key, value);
  }
  if (userId !== undefined) await session.login(userId, login);
  const result = await manager.commit(session);
  const { token, id } = session;
  if (token === undefined || id === undefined || result.kind !== "set") {
    throw new TypeError("userId, data: expected a user or a value, got neither. A session without both is not stored");
  }
  return new LiveSession(manager.options, result, token, id);
}

function read(user: object): { userId: string | undefined; data: object; login: LoginOptions } {
  const options = new OptionReader(user);
  const userId = options.text("userId", undefined);
  const data = options.value("data", {});
  if (typeof data !== "object" || data === null) throw options.wrong("data", "an object");
  const login = options.value("login", {}) as LoginOptions;
  options.end();
  return { userId, data, login };
}

function assertCookies({ tokenHeader }: ResolvedOptions, operation: string): void {
  if (tokenHeader === undefined) return;
  throw new TypeError(`${operation}: the manager has the transport "header", call (await as(manager, user)).headers`);
}

/** Describes a committed session in the forms that test clients take. Its only own properties are data, so that `structuredClone` copies them for a worker. */
class LiveSession implements TestSession {
  readonly headers: Record<string, string>;
  readonly cookies: Record<string, string>;
  readonly token: string;
  readonly id: string;
  readonly #options: ResolvedOptions;
  readonly #expires: Date | undefined;

  /** Describes the session of a token that `result` has told to the client. */
  constructor(options: ResolvedOptions, result: CommitResult, token: string, id: string) {
    const { name } = options.cookie;
    const isCookie = options.tokenHeader === undefined;
    this.headers = isCookie ? { cookie: `${name}=${token}` } : { authorization: `Bearer ${token}` };
    this.cookies = isCookie ? { [name]: token } : {};
    this.token = token;
    this.id = id;
    this.#options = options;
    this.#expires = result.cookie?.options.expires;
  }

  storageState(url: string): StorageState {
    assertCookies(this.#options, "storageState");
    if (!URL.canParse(url)) throw wrong("storageState", 'an address such as "http://localhost:3000"', url);
    const { hostname, protocol } = new URL(url);
    const { cookie, secure } = this.#options;
    const { name, domain, path, httpOnly, sameSite } = cookie;
    const stored: StoredCookie = {
      name,
      value: this.token,
      domain: domain === undefined ? hostname : `.${domain.replace(/^\./, "")}`,
      path: path === "" ? "/" : path,
      expires: this.#expires === undefined ? -1 : this.#expires.getTime() / 1000,
      httpOnly,
      secure: secure === "auto" ? protocol === "https:" : secure,
      sameSite: sameSite === "strict" ? "Strict" : sameSite === "none" ? "None" : "Lax",
    };
    return { cookies: [stored], origins: [] };
  }
}
