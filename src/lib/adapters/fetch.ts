import { RefusedError } from "../core/errors.ts";
import { failureLog } from "../core/log.ts";
import { addVary, type OpenHeaders } from "../http/headers.ts";
import type { CommitContext, CommitResult } from "../manager/commit-result.ts";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { ResolvedOptions } from "../manager/options.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { isWebTls, warnOfCookie, webClient } from "./request.ts";

/**
 * Wraps a handler of web-standard requests so that each has a session, which is committed before the response is returned.
 *
 * Works with Bun.serve, Deno.serve, Next.js route handlers, SvelteKit hooks and React Router. The body may go on streaming after the commit.
 * A thrown Response is the answer, as are `redirect()` and `notFound()` of Next.js. Any other error is answered with a 500, or with the
 * Response that `onError(error, request)` returns. The session is committed in all these cases.
 *
 * @param handler - gets the request, its session, and the server's further arguments
 * @returns a handler that never rejects. Its answer carries the cookie for stored changes even if something failed
 *   later
 * @example
 * Bun.serve({ fetch: fetchHandler(manager, (request, session) => new Response(session.get("message"))) });
 */
export function fetchHandler<Data = SessionData, Lazy extends boolean = false, Rest extends unknown[] = []>(
  manager: SessionManager<Data, Lazy>,
  handler: (request: Request, session: SessionFor<Data, Lazy>, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    // The same manager has wrapped the request further out, and does the work there.
    const isInner = manager.has(request);
    if (!isInner) {
      try {
        await openRequest(manager, request, rest[0]);
      } catch (error) {
        const answer = await answerError(manager.options, error, request);
        return copyOrPlain(answer, (headers) => addVary(headers, manager.options.vary));
      }
    }
    let response: Response;
    try {
      response = await handler(request, manager.sessionOf(request), ...rest);
      if (!isResponse(response)) throw new TypeError("fetchHandler: expected the handler to return a Response");
    } catch (thrown) {
      response = answerOf(thrown) ?? (await answerError(manager.options, thrown, request));
    }
    if (isInner) return response;
    try {
      return await closeRequest(manager, request, response);
    } catch (error) {
      discard(response);
      const answer = await answerError(manager.options, error, request);
      return copyOrPlain(answer, (headers) => applyCommitted(manager, request, headers));
    }
  };
}

/**
 * Loads the session of a web-standard request.
 *
 * @param server - the runtime's second argument, which may know the client's address
 * @throws StoreUnavailableError, StoreOverloadedError, StoreError or SchemaError when the store fails
 */
export async function openRequest<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
  server?: unknown,
): Promise<void> {
  const { headers } = request;
  const credentials = { cookie: headers.get("cookie"), authorization: headers.get("authorization") };
  await manager.open(request, credentials, () => webClient(manager.options, request, () => addressIn(request, server)));
}

/**
 * Finds the client's address in the runtime's second argument. It knows Deno.serve, Bun.serve, @hono/node-server and Hono on AWS Lambda.
 */
function addressIn(request: Request, passed: unknown): string | undefined {
  const outer = (passed ?? {}) as { server?: unknown };
  const server = (outer.server ?? outer) as {
    remoteAddr?: { hostname?: unknown };
    requestIP?: (request: Request) => { address: string } | null;
    incoming?: { socket?: { remoteAddress?: unknown } };
    requestContext?: { identity?: { sourceIp?: unknown }; http?: { sourceIp?: unknown } };
  };
  const { remoteAddr, incoming, requestContext, requestIP } = server;
  const address =
    remoteAddr?.hostname ??
    incoming?.socket?.remoteAddress ??
    requestContext?.identity?.sourceIp ??
    requestContext?.http?.sourceIp ??
    (typeof requestIP === "function" ? requestIP.call(server, request)?.address : undefined);
  return typeof address === "string" ? address : undefined;
}

const RESULTS = Symbol("pgstore commit results");

/**
 * Commits the session of a request and returns the response with its cookie.
 *
 * @throws PgStoreError when the commit fails; TypeError or RangeError when the response can't be sent. `applyCommitted`
 *   then adds the cookie for stored changes to another answer
 */
export async function closeRequest<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
  response: Response,
): Promise<Response> {
  const context = contextOf(manager.options, request);
  const result = await manager.close(request, context);
  warnOfCookie(manager.options, result, context, request.headers.get("x-forwarded-proto"));
  const missing = resultsOf(request, result).filter((one) => !carries(response.headers, one));
  if (missing.length === 0) {
    if (result.isSilent || addInPlace(response, (headers) => result.applyTo(headers))) return response;
    // Response.error() has status 0 and can't be copied.
    if (response.status < 200) return response;
  }
  const change = (headers: OpenHeaders): void => {
    if (result.kind === "nothing") result.applyTo(headers);
    for (const one of missing) one.applyTo(headers);
  };
  // The runtime recognises an upgrade by the response's identity.
  if (response.status === 101) {
    addInPlace(response, change);
    return response;
  }
  // A cookie needs a new response: the application's may be immutable, or shared among requests.
  return copyWith(response, change);
}

/**
 * Adds the cookies for stored changes to the answer that replaces a failed one, for every manager of the request. Never
 * throws.
 */
export function applyCommitted<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
  headers: Headers,
): void {
  const committed = manager.committed(request, contextOf(manager.options, request));
  for (const result of resultsOf(request, committed)) result.applyTo(headers);
  // The error depends on the session as well.
  addVary(headers, manager.options.vary);
}

function contextOf(options: ResolvedOptions, request: Request): CommitContext & { tls: () => boolean } {
  return { tls: () => isWebTls(options, request) === true, seal: true };
}

/** Records a commit's result. Returns the results of all managers that the request's answer must carry. */
function resultsOf(request: Request & { [RESULTS]?: CommitResult[] }, latest: CommitResult): readonly CommitResult[] {
  if (latest.kind !== "nothing") (request[RESULTS] ??= []).push(latest);
  return request[RESULTS] ?? [];
}

/** Says whether a response already has the cookie or token header of a commit. */
function carries(headers: Headers, { setCookie, tokenHeader }: CommitResult): boolean {
  if (setCookie !== undefined) return headers.getSetCookie().includes(setCookie);
  return tokenHeader !== undefined && headers.get(tokenHeader.name) === tokenHeader.value;
}

/**
 * Changes the headers of the response itself. A copy would turn the body into a stream, which has no Content-Length.
 *
 * @returns false when the headers are immutable
 */
function addInPlace({ headers }: Response, change: (headers: OpenHeaders) => void): boolean {
  try {
    change(headers);
    return true;
  } catch {
    return false;
  }
}

/** Cancels the body of a response that is not sent. */
function discard(response: Response): void {
  try {
    response.body?.cancel().catch(() => {});
  } catch {
    // The body is not a ReadableStream of the platform.
  }
}

/** Returns the answer of `onError`, or a plain 500. Never throws. */
async function answerError(
  { onError = logError }: ResolvedOptions,
  error: unknown,
  request: Request,
): Promise<Response> {
  try {
    const answer: unknown = await onError(error, request, undefined);
    if (isResponse(answer) && answer.status >= 200) return answer;
  } catch (second) {
    logError(second);
  }
  return plainError();
}

/** Copies a response with changed headers. @throws TypeError or RangeError when it can't be copied */
function copyWith(response: Response, change: (headers: Headers) => void): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  change(headers);
  return new Response(response.body, { status, statusText, headers });
}

/** Copies an answer with changed headers. An answer that can't be copied is replaced with a plain 500. */
function copyOrPlain(answer: Response, change: (headers: Headers) => void): Response {
  try {
    return copyWith(answer, change);
  } catch (error) {
    logError(error);
    const plain = plainError();
    change(plain.headers);
    return plain;
  }
}

function plainError(): Response {
  return new Response("Internal Server Error\n", { status: 500 });
}

/** Returns the answer that a thrown value stands for, if any. */
function answerOf(thrown: unknown): Response | undefined {
  try {
    if (isResponse(thrown)) return thrown;
    return thrown instanceof RefusedError ? thrown.getResponse() : nextAnswer(thrown);
  } catch {
    return undefined;
  }
}

/** Recognises a Response by its shape, because a framework may have a class of its own. */
export function isResponse(value: unknown): value is Response {
  const { status, headers } = (value ?? {}) as Partial<Response>;
  return typeof status === "number" && typeof headers?.getSetCookie === "function";
}

const logError = failureLog("the request failed");

/**
 * Converts the errors that Next.js's `redirect()`, `notFound()` and the like throw in a route handler. Next.js itself would answer them
 * without the session's cookie. It marks them by a digest: `NEXT_REDIRECT;replace;/url;307;` or `NEXT_HTTP_ERROR_FALLBACK;404`.
 */
function nextAnswer(thrown: unknown): Response | undefined {
  const { digest } = (thrown ?? {}) as { digest?: unknown };
  if (typeof digest !== "string") return undefined;
  // The URL is not encoded: it may contain semicolons and line breaks.
  const redirect = /^NEXT_REDIRECT;(?:push|replace);(.+);(30[378]);$/s.exec(digest);
  if (redirect !== null) {
    return new Response(null, {
      status: Number(redirect[2]),
      headers: { Location: encodeLocation(redirect[1] ?? "") },
    });
  }
  const fallback = /^NEXT_HTTP_ERROR_FALLBACK;(40[134])$/.exec(digest);
  return fallback === null ? undefined : new Response(null, { status: Number(fallback[1]) });
}

/** Encodes a URL for a header as browsers do: a host in Punycode, other characters beyond ASCII as percent-encoded UTF-8. */
function encodeLocation(location: string): string {
  if (/^[\x21-\x7e]*$/.test(location)) return location;
  // "//host/path" has no scheme, and takes the page's.
  const isRelativeToScheme = location.startsWith("//");
  const absolute = isRelativeToScheme ? `https:${location}` : location;
  if (URL.canParse(absolute)) {
    const { href } = new URL(absolute);
    return isRelativeToScheme ? href.slice("https:".length) : href;
  }
  return location.toWellFormed().replaceAll(/[^\x21-\x7e]+/g, encodeURIComponent);
}
