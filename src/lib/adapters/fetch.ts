import { RefusedError } from "../core/errors.ts";
import { failureLog } from "../core/log.ts";
import { withVary } from "../http/headers.ts";
import type { CommitContext, CommitResult } from "../manager/commit-result.ts";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { forwardedFor, isForwardedSecure, isSpeculative, warnOfCookie } from "./request.ts";
import { type OpenHeaders, applyCommit, hasNothingToTell } from "./response-headers.ts";

/**
 * Wraps a handler of web-standard requests: for Bun.serve, Deno.serve, route handlers of Next.js, hooks of SvelteKit, React
 * Router. Its session is the second argument (and `manager.sessionOf(request)`); what else the server passes follows. It is
 * committed before the response is returned; the body may go on streaming.
 *
 * What the handler throws becomes a 500, or the Response that `onError(error, request)` returns; a thrown Response is the
 * answer, and so is what `redirect()` and `notFound()` of Next.js throw. The session is committed then too. The promise never
 * rejects, and what was stored is told the client whatever fails.
 */
export function fetchHandler<Data = SessionData, Lazy extends boolean = false, Rest extends unknown[] = []>(
  manager: SessionManager<Data, Lazy>,
  handler: (request: Request, session: SessionFor<Data, Lazy>, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    // Wrapped twice with one manager: the outer one does the work.
    const isInner = manager.has(request);
    if (!isInner) {
      try {
        await openRequest(manager, request, rest[0]);
      } catch (error) {
        return withVaryOf(manager, await answerError(manager, error, request));
      }
    }
    let response: Response;
    try {
      response = await handler(request, manager.sessionOf(request), ...rest);
      if (!isResponse(response)) throw new TypeError("fetchHandler: the handler must return a Response");
    } catch (thrown) {
      response = answerIn(thrown) ?? (await answerError(manager, thrown, request));
    }
    if (isInner) return response;
    try {
      return await closeRequest(manager, request, response);
    } catch (error) {
      discard(response);
      return answerFailed(manager, error, request);
    }
  };
}

/** Loads the session of a web-standard request. `server`: what the runtime passes besides. @throws as `manager.load` */
export async function openRequest<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
  server?: unknown,
): Promise<void> {
  const { headers } = request;
  const credentials = { cookie: headers.get("cookie"), authorization: headers.get("authorization") };
  await manager.open(request, credentials, () => ({
    ip:
      (manager.options.trustProxy ? forwardedFor(headers.get("x-forwarded-for")) : undefined) ??
      addressIn(request, server),
    userAgent: headers.get("user-agent") ?? undefined,
    speculative: isSpeculative(request.method, (name) => headers.get(name)),
    whenGone: (listener) => {
      request.signal.addEventListener("abort", listener);
      return () => request.signal.removeEventListener("abort", listener);
    },
  }));
}

/**
 * Finds the connection's address in what runtimes pass beside the request: Deno.serve, Bun.serve, @hono/node-server, AWS Lambda by Hono.
 * Some put it under `server`.
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

/** Where a request keeps what its client must be told, whichever manager has committed it, until an answer has it. */
const TOLD = Symbol("pgstore told");

/**
 * Commits the session of a request. Returns the response with what the client must be told.
 *
 * @throws as `manager.commit`, TypeError or RangeError for a response that nobody can send; `tellCommitted` tells then
 */
export async function closeRequest<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
  response: Response,
): Promise<Response> {
  const context = contextOf(manager, request);
  const result = await manager.close(request, context);
  warnOfCookie(manager.options, result, context.tls, request.headers.get("x-forwarded-proto"));
  note(request, result);
  const told = toldOf(request).filter((one) => !tells(response.headers, one));
  if (told.length === 0) {
    if (hasNothingToTell(result) || addInPlace(response, (headers) => applyCommit(headers, result))) return response;
    // As Response.error() is, which can tell nothing.
    if (response.status < 200) return response;
  }
  const change = (headers: OpenHeaders): void => {
    if (result.kind === "nothing") applyCommit(headers, result);
    for (const one of told) applyCommit(headers, one);
  };
  // The runtime recognises an upgrade by the object.
  if (response.status === 101) {
    addInPlace(response, change);
    return response;
  }
  // With a cookie a response of its own: that of the application may be immutable, or one that it gives to all.
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  change(openHeaders(headers));
  return new Response(response.body, { status, statusText, headers });
}

/**
 * Adds to the headers of the answer that takes the place of a failed one what has been committed all the same: by this manager
 * before it failed, by others in this request. Never throws.
 */
export function tellCommitted<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
  headers: Headers,
): void {
  note(request, manager.committed(request, contextOf(manager, request)));
  for (const result of toldOf(request)) applyCommit(openHeaders(headers), result);
  varyBy(manager, headers);
}

/** The answer depends on the session, also where that could be neither loaded nor stored. */
export function varyBy<Data, Lazy extends boolean>(manager: SessionManager<Data, Lazy>, headers: Headers): void {
  const name = manager.options.tokenHeader === undefined ? "Cookie" : "Authorization";
  headers.set("Vary", withVary(headers.get("Vary") ?? undefined, name));
}

function contextOf<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
): CommitContext & { tls: () => boolean } {
  const tls = (): boolean =>
    /^https:/i.test(request.url) ||
    (manager.options.trustProxy && isForwardedSecure(request.headers.get("x-forwarded-proto")));
  return { tls, seal: true };
}

function toldOf(request: Request): CommitResult[] {
  return (request as { [TOLD]?: CommitResult[] })[TOLD] ?? [];
}

function note(request: Request, result: CommitResult): void {
  if (result.kind === "nothing") return;
  const told = toldOf(request);
  told.push(result);
  (request as { [TOLD]?: CommitResult[] })[TOLD] = told;
}

/** Says whether a response tells already what its client must be told. */
function tells(headers: Headers, { setCookie, tokenHeader }: CommitResult): boolean {
  if (setCookie !== undefined) return headers.getSetCookie().includes(setCookie);
  return tokenHeader !== undefined && headers.get(tokenHeader.name) === tokenHeader.value;
}

/** Vary is no secret, and a body that is passed on as a stream costs a server its Content-Length. False: they are immutable. */
function addInPlace({ headers }: Response, change: (headers: OpenHeaders) => void): boolean {
  try {
    change(openHeaders(headers));
    return true;
  } catch {
    return false;
  }
}

function openHeaders(headers: Headers): OpenHeaders {
  return {
    get: (name) => headers.get(name),
    set: (name, value) => headers.set(name, value),
    delete: (name) => headers.delete(name),
    names: () => headers.keys(),
    getSetCookie: () => headers.getSetCookie(),
    setSetCookie: (values) => {
      headers.delete("Set-Cookie");
      for (const value of values) headers.append("Set-Cookie", value);
    },
  };
}

/** Nobody reads its body. */
function discard(response: Response): void {
  try {
    response.body?.cancel().catch(() => {});
  } catch {
    // It is no body of the platform's.
  }
}

/** The answer in place of one whose session could not be stored, or that nobody can send. Never throws. */
async function answerFailed<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  error: unknown,
  request: Request,
): Promise<Response> {
  const answer = await answerError(manager, error, request);
  return copyWith(answer, (headers) => tellCommitted(manager, request, headers));
}

/** Lets `onError` answer; otherwise a plain 500. Never throws. */
async function answerError<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  error: unknown,
  request: Request,
): Promise<Response> {
  const { onError = logError } = manager.options;
  try {
    const answer: unknown = await onError(error, request, undefined);
    if (isResponse(answer) && answer.status >= 200) return answer;
  } catch (second) {
    logError(second);
  }
  return plainError();
}

function withVaryOf<Data, Lazy extends boolean>(manager: SessionManager<Data, Lazy>, response: Response): Response {
  return copyWith(response, (headers) => varyBy(manager, headers));
}

/** A copy of an answer with other headers; where it can't be sent, a plain one. */
function copyWith(response: Response, change: (headers: Headers) => void): Response {
  try {
    const { status, statusText } = response;
    const headers = new Headers(response.headers);
    change(headers);
    return new Response(response.body, { status, statusText, headers });
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

/** What is thrown may be an answer. */
function answerIn(thrown: unknown): Response | undefined {
  try {
    if (isResponse(thrown)) return thrown;
    return thrown instanceof RefusedError ? thrown.getResponse() : nextAnswer(thrown);
  } catch {
    return undefined;
  }
}

/** By its shape: a framework may bring a class of its own. */
export function isResponse(value: unknown): value is Response {
  const { status, headers } = (value ?? {}) as Partial<Response>;
  return typeof status === "number" && typeof headers?.getSetCookie === "function";
}

const logError = failureLog("the request failed");

/**
 * What Next.js makes of the errors that its `redirect()`, `notFound()` and the like throw in a route handler; undefined for
 * others. Left to Next.js they would be answered without the session's cookie. Their digest is all that tells them apart:
 * `NEXT_REDIRECT;replace;/url;307;` and `NEXT_HTTP_ERROR_FALLBACK;404`.
 */
function nextAnswer(thrown: unknown): Response | undefined {
  const { digest } = (thrown ?? {}) as { digest?: unknown };
  if (typeof digest !== "string") return undefined;
  // A URL may have semicolons and, unencoded as it is, line breaks of its own.
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

/** Encodes a URL for a header, as a browser does for a request: a host in Punycode, all else beyond ASCII as percents of UTF-8. */
function encodeLocation(location: string): string {
  if (/^[\x21-\x7e]*$/.test(location)) return location;
  // Of the scheme of the page, or of one of its own.
  const isRelativeToScheme = location.startsWith("//");
  const absolute = isRelativeToScheme ? `https:${location}` : location;
  if (URL.canParse(absolute)) {
    const { href } = new URL(absolute);
    return isRelativeToScheme ? href.slice("https:".length) : href;
  }
  return location.toWellFormed().replaceAll(/[^\x21-\x7e]+/g, encodeURIComponent);
}
