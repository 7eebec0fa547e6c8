import { failureLog } from "../core/log.ts";
import { OptionReader, wrong } from "../core/options.ts";
import { isToken } from "../core/token.ts";
import { cookieValues, type SessionCookieOptions } from "../http/cookie.ts";
import type { CommitContext, CommitResult } from "../manager/commit-result.ts";
import type { ResolvedOptions } from "../manager/options.ts";
import type { Credentials } from "../manager/loader.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import { hostOf, Session, stateOf } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";
import { isWebTls, warnOfCookie, type WebRequest, webClient } from "./request.ts";

/*
 * Frameworks with a cookie jar hide the response: their code can't wait for the head, but it may set a cookie at any time. So a session that
 * was opened with a jar commits when the application says so. `login`, `renewToken`, `reset`, `reauthenticate` and `destroy` change which
 * token is valid, so they commit at once: a client that is not told of its new token is logged out.
 *
 * A jar shows one cookie of a name, although the client may have sent several of them, one planted by a neighbouring
 * host. If the request's headers are known, they are read, too. A jar's value that is not among the headers' values
 * counts, because it was set in this request.
 *
 * Why: docs/decisions/032-cookie-jars.md
 */

/** A cookie as a jar's `get` may return it. Null and undefined: the jar has none. */
export type JarValue = string | { readonly value: string } | null | undefined;

/**
 * A framework's cookie jar: `cookies()` of Next.js, `event.cookies` of SvelteKit, `Astro.cookies`, or an object with two functions, such as
 * `{ get: getCookie, set: setCookie }` of TanStack Start.
 */
export interface CookieJar {
  /** Returns a cookie of the request, or the one that was set since. */
  get(name: string): JarValue | PromiseLike<JarValue>;
  /** Sets a cookie of the response. It must replace one of the same name, domain and path. `maxAge` is in seconds. */
  set(name: string, value: string, options: SessionCookieOptions): unknown;
}

/** Options of `openSession` and `withSession`. */
export interface JarOptions {
  /**
   * The request, or an object with its headers. It tells whether the response uses TLS, for `secure: "auto"`, which browser sent it, and
   * whether it has several cookies of the session's name, which a jar hides. Default: none.
   */
  request?: WebRequest | undefined;
  /**
   * The client's address, for `recordIp` and `onLogin`. With `trustProxy`, X-Forwarded-For in `request` overrides it.
   * Default: unknown.
   */
  ip?: string | undefined;
  /** Whether the response uses TLS, for `secure: "auto"`. Default: as `request.url` or a trusted proxy says, otherwise true. */
  tls?: boolean | undefined;
}

/** A session that was opened from a jar. */
interface Opened<Data> {
  readonly session: Session<Data>;
  /** Commits the session and sets its cookie. @param context - passed on to the manager's commit */
  commit(context?: CommitContext): Promise<void>;
  /** Makes later changes throw. */
  seal(by: "work" | "page"): void;
}

/**
 * Opens the session of a cookie jar.
 *
 * `save()` stores its changes and sets the cookie. It may be called again. `login`, `logout`, `destroy`, `renewToken`,
 * `reset` and `reauthenticate` do the same at once. Without one of these, changes are lost. `withSession` commits by
 * itself.
 *
 * @param jar - the framework's jar, or a promise of it
 * @returns the session, which is empty and new unless the jar has the cookie of a live one
 * @throws StoreUnavailableError, StoreError or SchemaError when the store fails; TypeError when the jar or an option is wrong, or when the
 *   manager's transport is "header"
 * @example
 * const session = await openSession(manager, cookies(), { request: { headers: await headers() } });
 * session.set("theme", "dark");
 * await session.save();
 */
export async function openSession<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
  jar: CookieJar | PromiseLike<CookieJar>,
  options: JarOptions = {},
): Promise<Session<Data>> {
  return (await open("openSession", manager, jar, options)).session;
}

/**
 * Opens the session of a cookie jar for a function, and commits it when the function has returned or thrown, as `redirect()` does in many
 * frameworks.
 *
 * @param work - gets the session. Later changes throw
 * @returns the result of `work`
 * @throws the error of `work`; StoreUnavailableError, StoreError or SchemaError when the store fails; TypeError when
 *   the jar or an option is wrong
 * @example
 * await withSession(manager, event.cookies, (session) => session.set("theme", "dark"), { request: event.request });
 */
export async function withSession<Data = SessionData, Lazy extends boolean = false, Result = void>(
  manager: SessionManager<Data, Lazy>,
  jar: CookieJar | PromiseLike<CookieJar>,
  work: (session: Session<Data>) => Result | PromiseLike<Result>,
  options: JarOptions = {},
): Promise<Result> {
  if (typeof work !== "function") throw wrong("withSession: work", "a function", work);
  return during(await open("withSession", manager, jar, options), work);
}

/**
 * Runs a function with an open session, then commits it, even if the function throws.
 *
 * @param context - passed on to the manager's commit
 */
export async function during<Data, Result>(
  opened: Opened<Data>,
  work: (session: Session<Data>) => Result | PromiseLike<Result>,
  context?: CommitContext,
): Promise<Result> {
  const commit = async (): Promise<void> => {
    opened.seal("work");
    await opened.commit(context);
  };
  let result: Result;
  try {
    result = await work(opened.session);
  } catch (thrown) {
    try {
      await commit();
    } catch (error) {
      // A redirect must not overtake a save that has failed.
      if (isAnswer(thrown)) throw error;
      logError(error);
    }
    throw thrown;
  }
  await commit();
  return result;
}

const logError = failureLog("the session could not be stored");

/** Says whether a thrown value is an answer, such as a redirect, rather than a failure. Next.js marks its answers by a digest. */
function isAnswer(thrown: unknown): boolean {
  return !(thrown instanceof Error) || typeof (thrown as { digest?: unknown }).digest === "string";
}

/** Opens the session of a jar. @param operation - the caller, for messages */
export async function open<Data, Lazy extends boolean>(
  operation: string,
  manager: SessionManager<Data, Lazy>,
  given: CookieJar | PromiseLike<CookieJar>,
  options: JarOptions,
): Promise<Opened<Data>> {
  const { request, ip, tls } = readOptions(operation, options);
  if (manager.options.tokenHeader !== undefined) {
    throw new TypeError(`${operation}: the manager's transport is "header", but a jar has cookies only`);
  }
  const jar = await given;
  if (typeof jar?.get !== "function" || typeof jar.set !== "function") {
    throw wrong(`${operation}: jar`, "an object with get and set", jar);
  }
  const presented = textOf(await jar.get(manager.options.cookie.name));
  const loaded = await manager.loadFrom(credentialsOf(manager.options, presented, request), () =>
    request === undefined ? { ip } : webClient(manager.options, request, () => ip),
  );
  const [state, host] = [stateOf(loaded), hostOf(loaded)];
  const isTls = tls ?? (request && isWebTls(manager.options, request));
  /** A result that the jar has refused. */
  let refused: CommitResult | undefined;
  const tell = async (result: CommitResult): Promise<void> => {
    const latest = result.kind === "nothing" ? refused : result;
    if (latest?.cookie === undefined) return;
    refused = latest;
    warnOfCookie(manager.options, latest, { tls: () => isTls ?? true }, request?.headers.get("x-forwarded-proto"));
    try {
      for (const one of [...latest.clearingCookies, latest.cookie]) {
        await jar.set(one.name, one.value, { ...one.options });
      }
    } catch (error) {
      // Where no cookie can be set, the client keeps its token with an older expiry.
      if (latest.cookie.value !== presented) throw error;
    }
    refused = undefined;
  };
  let telling = Promise.resolve();
  const commit = async (context: CommitContext = {}): Promise<void> => {
    const result = await manager.commit(loaded, { ...context, tls: isTls ?? true });
    // Unlike the head of a response, a jar takes the cookie of a later change.
    state.unseal("save");
    // In turn, as a slow jar would otherwise end with the older token. Earlier failures were reported to their own callers.
    telling = telling.catch(() => {}).then(() => tell(result));
    await telling;
  };
  const session = new Session<Data>(state, {
    ...host,
    flush: () => commit(),
    begin: async (_state, changes) => {
      try {
        await commit();
      } catch (error) {
        if (!state.isOver && state.phase === "new") state.values.withdraw(changes, undefined);
        // The session that the client presented has ended, and no other has begun.
        if (state.predecessor !== undefined && state.predecessor.why !== "revoked") state.end("nothing");
        throw error;
      }
    },
  });
  return { session, commit, seal: (by) => state.seal(by) };
}

function readOptions(operation: string, options: JarOptions): JarOptions {
  const read = new OptionReader(options, `${operation}: `);
  const request = read.value("request") as WebRequest | undefined;
  if (request !== undefined && typeof request?.headers?.get !== "function") {
    throw read.wrong("request", "a Request, or an object with its headers");
  }
  const ip = read.text("ip", undefined);
  const tls = read.value("tls") === undefined ? undefined : read.bool("tls", true);
  read.end();
  return { request, ip, tls };
}

function textOf(value: JarValue): string | undefined {
  return (typeof value === "object" ? value?.value : value) ?? undefined;
}

/**
 * Returns the client's credentials: the cookies of the request's headers, or the jar's if it was set in this request.
 */
function credentialsOf(
  { cookie: { name } }: ResolvedOptions,
  value: string | undefined,
  request: WebRequest | undefined,
): Credentials {
  if (value === undefined || value === "") return {};
  const cookie = request?.headers.get("cookie") ?? "";
  const isSent = (text: string): boolean => text === value || decoded(text) === value;
  if (!isToken(value)) return cookieValues(cookie, name, isSent).length > 0 ? { cookie } : {};
  // Jars decode values and remove quotes and more. A token that was set in this request is not in the headers.
  return cookie.includes(value) || decoded(cookie).includes(value) ? { cookie } : { cookie: `${name}=${value}` };
}

/** Decodes the percent-encoded bytes of a text, each as one character. Malformed ones stay. */
function decoded(text: string): string {
  return text.replaceAll(/%[\dA-Fa-f]{2}/g, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
}
