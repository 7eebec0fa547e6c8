import { CsrfError } from "../base/errors.ts";
import type { CommitResult } from "../manager/commit-result.ts";
import type { SessionFor } from "../manager/lazy-session.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { SessionData } from "../session/session-data.ts";
import { withVary } from "../base/cache-headers.ts";
import { nextAnswer } from "./next-answer.ts";
import { type OpenHeaders, tell, tellsNothing } from "./response-headers.ts";
import { forwardedFor, isForwardedSecure } from "./secure.ts";

/**
 * Wraps a handler of web-standard requests: for Bun.serve, Deno.serve, route handlers of Next.js, hooks of SvelteKit, React
 * Router. Its session is the second argument (and `manager.sessionOf(request)`); what else the server passes follows. It is
 * committed before the response is returned; the body may go on streaming.
 *
 * What the handler throws becomes a 500, or the Response that `onError(error, request)` returns; a thrown Response is the
 * answer, and so is what `redirect()` and `notFound()` of Next.js throw. The session is committed then too.
 */
export function fetchHandler<Data = SessionData, Lazy extends boolean = false, Rest extends unknown[] = []>(
  manager: SessionManager<Data, Lazy>,
  handler: (request: Request, session: SessionFor<Data, Lazy>, ...rest: Rest) => Response | Promise<Response>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  return async (request, ...rest) => {
    // Wrapped twice with one manager: the outer one does the work.
    if (manager.has(request)) return handler(request, manager.sessionOf(request), ...rest);
    try {
      await openRequest(manager, request, rest[0]);
    } catch (error) {
      return answerError(manager, error, request, true);
    }
    let response: Response;
    try {
      response = await handler(request, manager.sessionOf(request), ...rest);
      if (!isResponse(response)) throw new TypeError("fetchHandler: the handler must return a Response");
    } catch (thrown) {
      response = answerIn(thrown) ?? (await answerError(manager, thrown, request, false));
    }
    try {
      return await closeRequest(manager, request, response);
    } catch (error) {
      response.body?.cancel().catch(() => {});
      return answerError(manager, error, request, true);
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
  }));
}

/** What Deno.serve and Bun.serve tell besides the request. */
function addressIn(request: Request, server: unknown): string | undefined {
  const { remoteAddr, requestIP } = (server ?? {}) as {
    remoteAddr?: { hostname?: string };
    requestIP?: (request: Request) => { address: string } | null;
  };
  if (typeof remoteAddr?.hostname === "string") return remoteAddr.hostname;
  return typeof requestIP === "function" ? requestIP.call(server, request)?.address : undefined;
}

/** Commits the session of a request. Returns the response with what the client must be told. @throws as `manager.commit` */
export async function closeRequest<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  request: Request,
  response: Response,
): Promise<Response> {
  const tls = (): boolean =>
    new URL(request.url).protocol === "https:" ||
    (manager.options.trustProxy && isForwardedSecure(request.headers.get("x-forwarded-proto")));
  const result = await manager.close(request, { tls, seal: true });
  return withResult(response, result, manager.options.cookie.name);
}

/** With a cookie a response of its own: that of the application may be immutable, or one that it gives to all. */
function withResult(response: Response, result: CommitResult, cookieName: string): Response {
  // 0 is Response.error(), 101 an upgrade that the runtime recognises by the object.
  if (tellsNothing(result) || response.status < 200) return response;
  if (result.kind === "nothing" && tellInPlace(response, result, cookieName)) return response;
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  tell(openHeaders(headers), result, cookieName);
  return new Response(response.body, { status, statusText, headers });
}

/** Vary is no secret, and a body that is passed on as a stream costs a server its Content-Length. */
function tellInPlace({ headers }: Response, result: CommitResult, cookieName: string): boolean {
  try {
    tell(openHeaders(headers), result, cookieName);
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
    getSetCookie: () => headers.getSetCookie(),
    setSetCookie: (values) => {
      headers.delete("Set-Cookie");
      for (const value of values) headers.append("Set-Cookie", value);
    },
  };
}

/** Lets `onError` answer; otherwise a plain 500. Never throws. */
async function answerError<Data, Lazy extends boolean>(
  manager: SessionManager<Data, Lazy>,
  error: unknown,
  request: Request,
  varies: boolean,
): Promise<Response> {
  const { onError = logError, tokenHeader } = manager.options;
  let answer: unknown;
  try {
    answer = await onError(error, request, undefined);
  } catch (second) {
    logError(second);
  }
  const response = isResponse(answer) ? answer : new Response("Internal Server Error\n", { status: 500 });
  if (!varies) return response;
  const headers = new Headers(response.headers);
  headers.set(
    "Vary",
    withVary(headers.get("Vary") ?? undefined, tokenHeader === undefined ? "Cookie" : "Authorization"),
  );
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** What is thrown may be an answer. */
function answerIn(thrown: unknown): Response | undefined {
  if (isResponse(thrown)) return thrown;
  return thrown instanceof CsrfError ? thrown.getResponse() : nextAnswer(thrown);
}

/** By its shape: a framework may bring a class of its own. */
function isResponse(value: unknown): value is Response {
  const { status, headers } = (value ?? {}) as Partial<Response>;
  return typeof status === "number" && typeof headers?.getSetCookie === "function";
}

function logError(error: unknown): void {
  console.error("pgstore: the request failed:", error);
}
