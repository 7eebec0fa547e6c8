import { AsyncLocalStorage } from "node:async_hooks";
import { wrong } from "../core/options.ts";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { Session } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";
import { type CookieJar, during, type JarOptions, open } from "./cookies.ts";
import { fetchHandler } from "./fetch.ts";
import type { WebRequest } from "./request.ts";

/*
 * Next.js renders a page while its response is being sent, so a Server Component can't set a cookie. It may read the
 * session and count as activity, which moves only the row's expiry. Changes are left to Server Actions, route handlers
 * and proxy.ts, whose response has not begun.
 *
 * The modules of Next.js are imported when a function is called, so that this file loads without them.
 *
 * Why: docs/decisions/032-cookie-jars.md
 */

interface NextHeaders {
  cookies(): CookieJar | Promise<CookieJar>;
  headers(): WebRequest["headers"] | Promise<WebRequest["headers"]>;
}

interface NextServer {
  NextResponse: { next(): Response };
}

/** The sessions of the enclosing actions. */
const acting = new AsyncLocalStorage<ReadonlyMap<object, unknown>>();

/** The sessions that a request has read, by its jar, which Next.js makes once for each request. */
const read = new WeakMap<object, Map<object, { value: string; session: Promise<unknown> }>>();

/**
 * Reads the session of the current request, in Server Components, Server Actions and route handlers of the App Router.
 *
 * Reading counts as activity: with `idleTimeout`, the session of a user who only looks at pages stays alive. Components
 * of one request share one session, which costs one query. Setting a value throws, except in a function wrapped by
 * `action`, where its session is returned.
 *
 * @returns the session, which is empty unless the request has the cookie of a live one
 * @throws StoreUnavailableError, StoreError or SchemaError when the store fails; the error of Next.js's `cookies()`
 *   outside of a request
 * @example
 * export default async function Page() {
 *   const session = await getSession(manager);
 *   return <p>Hello, {session.userId ?? "stranger"}!</p>;
 * }
 */
export async function getSession<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
): Promise<Session<Data>> {
  const acted = acting.getStore()?.get(manager);
  if (acted !== undefined) return acted as Session<Data>;
  const { jar, options } = await currentRequest();
  const { name } = manager.options.cookie;
  const value = JSON.stringify((await jar.get(name)) ?? null);
  const known = read.get(jar) ?? new Map<object, { value: string; session: Promise<unknown> }>();
  read.set(jar, known);
  const found = known.get(manager);
  // A route handler may have set the cookie since.
  if (found?.value === value) return found.session as Promise<Session<Data>>;
  const session = readOnly(manager, jar, options);
  known.set(manager, { value, session });
  return session;
}

async function readOnly<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  jar: CookieJar,
  options: JarOptions,
): Promise<Session<Data>> {
  // The page can't tell the client of a later expiry. The next action or proxy.ts does.
  const silent: CookieJar = { get: (name) => jar.get(name), set: () => {} };
  const opened = await open("getSession", manager, silent, options);
  opened.seal("page");
  await opened.commit();
  return opened.session;
}

/**
 * Wraps a Server Action or a route handler: passes it the session, then stores the session and sets its cookie.
 *
 * The session is stored as well when the function throws, as `redirect()` and `notFound()` of Next.js do. In a route
 * handler a thrown Response is the answer, `requireUser()` answers with 401, and other errors with a 500 or the answer
 * of `onError`. A Server Action rethrows them.
 *
 * @param work - gets the session, then the arguments of the action (its form) or of the route handler (its request and context)
 * @returns the action or the route handler to export
 * @throws TypeError when `work` is not a function. The action rejects with the error of `work`, or with StoreUnavailableError, StoreError
 *   or SchemaError when the store fails
 * @example
 * export const logIn = action(manager, async (session, form: FormData) => {
 *   await session.login(String(form.get("user")));
 *   redirect("/account");
 * });
 */
export function action<Data = SessionData, Lazy extends boolean = false, Args extends unknown[] = [], Result = void>(
  manager: SessionManager<Data, Lazy>,
  work: (session: Session<Data>, ...args: Args) => Result | Promise<Result>,
): (...args: Args) => Promise<Result> {
  if (typeof work !== "function") throw wrong("action: work", "a function", work);
  return async (...args) => {
    const outer = acting.getStore();
    const acted = outer?.get(manager);
    // The action around this one commits.
    if (acted !== undefined) return work(acted as Session<Data>, ...args);
    const run = (session: Session<Data>): Promise<Result> =>
      acting.run(new Map(outer).set(manager, session), async () => work(session, ...args));
    const [request] = args;
    // Not by its shape, because the client chooses the arguments of a Server Action.
    if (request instanceof Request) {
      const handle = fetchHandler(manager, async (_request, session) => (await run(await session)) as Response);
      return (await handle(request)) as Result;
    }
    const { jar, options } = await currentRequest();
    // A page may have moved the expiry without a cookie.
    return during(await open("action", manager, jar, options), run, { refresh: true });
  };
}

/**
 * Makes the function for `proxy.ts` (`middleware.ts` in Next.js 15), which keeps persistent cookies alive while a user
 * only looks at pages.
 *
 * @param handler - gets the request and its session before the page does, and may return another answer, such as a redirect to the login.
 *   Undefined lets the request go on
 * @returns a function to export as `proxy`
 * @example
 * export const proxy = sessionProxy(manager);
 */
export function sessionProxy<Data = SessionData, Lazy extends boolean = false, Incoming extends Request = Request>(
  manager: SessionManager<Data, Lazy>,
  handler?: (request: Incoming, session: SessionFor<Data, Lazy>) => ProxyAnswer | Promise<ProxyAnswer>,
): (request: Incoming) => Promise<Response> {
  if (handler !== undefined && typeof handler !== "function")
    throw wrong("sessionProxy: handler", "a function", handler);
  const handle = fetchHandler(manager, async (request, session) => {
    const answer = await handler?.(request as Incoming, session);
    if (answer !== undefined) return answer;
    // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- an optional peer, which has its types elsewhere
    const { NextResponse } = (await import("next/server.js" as string)) as NextServer;
    return NextResponse.next();
  });
  return async (request) => {
    const response = await handle(request);
    // The page of the same request must see a cookie that was set here. NextResponse does the same for its own cookies.
    const cookies = response.headers.getSetCookie();
    if (cookies.length > 0) response.headers.set("x-middleware-set-cookie", cookies.join(","));
    return response;
  };
}

/** The answer of `sessionProxy`'s handler. Undefined lets the request go on. */
// oxlint-disable-next-line typescript/no-invalid-void-type -- for handlers without a return
export type ProxyAnswer = Response | undefined | void;

/** Finds the current request of Next.js. */
async function currentRequest(): Promise<{ jar: CookieJar; options: JarOptions }> {
  // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- an optional peer, which has its types elsewhere
  const { cookies, headers } = (await import("next/headers.js" as string)) as NextHeaders;
  const [jar, sent] = await Promise.all([cookies(), headers()]);
  // Next.js writes this header itself if no proxy has, and derives the URL of requests from it in the same way.
  const protocol = sent.get("x-forwarded-proto");
  return {
    jar,
    options: { request: { headers: sent }, ...(protocol === null ? {} : { tls: protocol.includes("https") }) },
  };
}
