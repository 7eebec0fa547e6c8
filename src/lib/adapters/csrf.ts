import type { ServerResponse } from "node:http";
import { lowerAscii } from "../http/headers.ts";
import { systemNow } from "../core/time.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../http/csrf-token.ts";
import { type Duration, OptionReader } from "../core/options.ts";
import { CsrfError } from "../core/errors.ts";
import { createToken } from "../core/token.ts";
import type { SessionState } from "../session/state.ts";
import { CSRF, formLifetimeIn } from "../session/values.ts";
import { stateOf } from "../session/session.ts";
import { readForm } from "../http/form.ts";
import { passError } from "./node-error.ts";
import { headerOf, type OriginOptions, type OriginRequest, OriginRule } from "../http/same-origin.ts";

/** Options of `csrfProtection`. */
export interface CsrfOptions extends OriginOptions {
  /**
   * The check that recognises a forged request. `"token"` checks a token that is bound to the session as well as the request's origin
   * (Sec-Fetch-Site, Origin). `"origin"` checks the origin only, and needs no hidden field, session or row. Default `"token"`.
   */
  method?: "token" | "origin" | undefined;
  /** The request header in which scripts send the token. Default `"X-CSRF-Token"`. */
  header?: string | undefined;
  /** The form field that holds the token. Default `"_csrf"`. */
  field?: string | undefined;
  /** Lifetime of a visitor's session that holds only a form's token, counted from the last time that the page was shown. Default `"1h"`. */
  formLifetime?: Duration | undefined;
  /**
   * Maximum length of a form that `csrf.fetch` and `csrf.hono` read to find the token, in bytes. A longer form is
   * answered with 413. Default 1 MiB.
   */
  maxFormBytes?: number | undefined;
}

/** The parts of a request that are checked. A web-standard Request, a node:http request and every framework's request have them. */
export interface CsrfRequest extends OriginRequest {
  method?: string | undefined;
}

/** A SessionManager with any data type, lazy or not. */
interface Manager {
  sessionOf(request: object): unknown;
}

/** A session with any data type. */
type AnySession = object & { token: string | undefined };

type Body = { body?: unknown };

const FORM = /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i;
const SAFE_METHODS = new Set(["get", "head", "options", "trace"]);

/**
 * Creates protection against cross-site request forgery (CSRF), by a token that is bound to the session or by the request's origin alone.
 *
 * By default each form needs `token(session)` in a hidden field, and `verify` checks it. A form's token becomes invalid
 * when the session gets a new token (`login`, `renewToken`, `reset`) or is destroyed.
 *
 * @throws TypeError, naming the option, when one is wrong
 * @see OWASP ASVS 5.0.0, 3.5.1 to 3.5.3
 * @example
 * const csrf = csrfProtection({ method: "origin" });
 * const handler = fetchHandler(manager, csrf.fetch((request, session) => change(request, session)));
 */
export function csrfProtection(options: CsrfOptions = {}): CsrfProtection {
  return new CsrfProtection(options);
}

/** Protection against cross-site request forgery, as middleware for each framework and as `token` and `verify`. */
export class CsrfProtection {
  readonly #rule: OriginRule;
  readonly #needsToken: boolean;
  readonly #header: string;
  readonly #field: string;
  readonly #formLifetime: number;
  readonly #maxFormBytes: number;

  /**
   * Creates the protection that `csrfProtection` returns.
   *
   * @throws TypeError, naming the option, when one is wrong
   */
  constructor(options: CsrfOptions) {
    const read = new OptionReader(options);
    this.#rule = new OriginRule(read);
    this.#needsToken = read.choice("method", ["token", "origin"], "token") === "token";
    this.#header = lowerAscii(read.text("header", "X-CSRF-Token"));
    this.#field = read.text("field", "_csrf");
    this.#formLifetime = read.duration("formLifetime", "1h", { isPositive: true });
    this.#maxFormBytes = read.whole("maxFormBytes", 1024 * 1024);
    read.end();
  }

  /**
   * Returns a token for a form of this session, or `""` with `method: "origin"`.
   *
   * A visitor's new session is then stored, because its cookie must come back with the form. It lives for
   * `formLifetime` until it holds something else. HEAD requests and prefetches don't store it, so the first submission
   * of a prefetched form is refused.
   *
   * @returns a different text at each call, all of them valid for the session's present token
   * @throws AlreadyCommittedError when the session is new and the response's head was sent
   */
  token(session: AnySession): string {
    if (!this.#needsToken) return "";
    const state = stateOf(session);
    if (this.#mustKeep(state)) {
      state.assertWritable("csrf.token");
      state.values.apply({ kind: "set", key: CSRF, value: this.#formLifetime });
    }
    // The page of a session that has ended must still render. Its form is never accepted.
    return csrfTokenOf(session.token ?? createToken());
  }

  /**
   * Refuses a request that another site may have forged. GET, HEAD, OPTIONS and TRACE always pass.
   *
   * @param token - the value of the form's field. `verify` reads the header itself
   * @throws CsrfError, which adapters answer with 403, when the origin or the token is wrong; TypeError when the request has no method
   */
  verify(session: AnySession, request: CsrfRequest, token?: unknown): void {
    if (isSafe(request)) return;
    if (!this.#rule.allows(request)) throw new CsrfError("origin");
    if (!this.#needsToken) return;
    const presented = headerOf(request, this.#header) ?? token ?? "";
    if (presented === "") throw new CsrfError("missing");
    if (session.token === undefined || !isCsrfTokenOf(session.token, presented)) throw new CsrfError("token");
  }

  /** Returns middleware for Express, Connect and Polka. Mount it after the session's middleware and the body parser. */
  connect(manager: Manager): (request: object, response: object, next: (error?: unknown) => void) => void {
    return (request, response, next) => {
      // The catch also covers next(), whose error would otherwise be an unhandled rejection.
      this.#check(manager, request, request as CsrfRequest, (request as Body).body)
        .then(() => next())
        .catch((error: unknown) => passError(error, response as ServerResponse, next));
    };
  }

  /** Returns a hook for Fastify: `app.addHook("preHandler", csrf.fastify(manager))`. */
  fastify(manager: Manager): (request: object) => Promise<void> {
    return (request) => this.#check(manager, request, request as CsrfRequest, (request as Body).body);
  }

  /** Returns middleware for Koa. Mount it after the session's middleware and the body parser. */
  koa(manager: Manager): (context: object, next: () => Promise<unknown>) => Promise<unknown> {
    return async (context, next) => {
      const { request, req } = context as { request: Body; req: CsrfRequest };
      await this.#check(manager, context, req, request.body);
      return next();
    };
  }

  /** Returns middleware for Hono. Mount it after the session's middleware. Handlers can still read the form. */
  hono(manager: Manager): (context: HonoContext, next: () => Promise<void>) => Promise<void> {
    return async (context, next) => {
      const { req } = context;
      const session = await this.#sessionFor(manager, context);
      const parse = (): Promise<unknown> => req.parseBody().then((body) => body[this.#field]);
      this.verify(session, req.raw, await this.#fieldOf(req.raw, session, parse));
      await next();
    };
  }

  /** Wraps a handler of `fetchHandler`: `fetchHandler(manager, csrf.fetch((request, session) => …))`. The handler can still read the form. */
  fetch<Session extends object, Rest extends unknown[]>(
    handler: (request: Request, session: Session, ...rest: Rest) => Response | Promise<Response>,
  ): (request: Request, session: Session, ...rest: Rest) => Promise<Response> {
    return async (request, session, ...rest) => {
      const loaded = (this.#needsToken ? await (session as unknown) : session) as AnySession;
      this.verify(loaded, request, await this.#fieldOf(request, loaded));
      return handler(request, session, ...rest);
    };
  }

  /** Verifies a request whose body was parsed before. */
  async #check(manager: Manager, bound: object, request: CsrfRequest, body: unknown): Promise<void> {
    const field: unknown = (body as Record<string, unknown> | null | undefined)?.[this.#field];
    this.verify(await this.#sessionFor(manager, bound), request, field);
  }

  /** Returns the request's session. A lazy session is loaded only if the token must be checked. */
  async #sessionFor(manager: Manager, bound: object): Promise<AnySession> {
    const session = manager.sessionOf(bound);
    return (this.#needsToken ? await session : session) as AnySession;
  }

  /** Says whether a visitor's session must be stored, or its lifetime extended because half of it is over. */
  #mustKeep(state: SessionState): boolean {
    const { phase, sealedBy, values } = state;
    if (phase === "new") return !values.all.has(CSRF) && state.facts.speculative !== true;
    const isOpen = phase === "stored" && state.transition === undefined && sealedBy === undefined;
    if (!isOpen || formLifetimeIn(values.all) === undefined || values.deadline === undefined) return false;
    return values.deadline.getTime() - systemNow() < this.#formLifetime / 2 && state.facts.speculative !== true;
  }

  /**
   * Reads the token's field of a form. It skips the body when the header has the token or no token could be right.
   *
   * @param parse - returns the field of a form that was read before
   */
  async #fieldOf(request: Request, session: AnySession, parse?: () => Promise<unknown>): Promise<unknown> {
    const { headers } = request;
    const mayBeForm = !isSafe(request) && FORM.test(headers.get("content-type") ?? "");
    if (!mayBeForm || !this.#needsToken || headers.has(this.#header) || !this.#rule.allows(request)) return undefined;
    // No client has a token for a session that begins with this request, and none is valid for a session that has ended.
    const state = stateOf(session);
    if (state.isOver || state.token === undefined) return WORTHLESS;
    if (parse !== undefined && request.bodyUsed) return parse().catch(() => undefined);
    const form = await readForm(request, this.#maxFormBytes);
    if (form === "too large") throw new CsrfError("size");
    return form?.get(this.#field);
  }
}

/** Stands for a field that was not read because no value of it could be right. */
const WORTHLESS = "unread";

/** The part of Hono's context that is used. */
interface HonoContext {
  req: { raw: Request; parseBody(): Promise<Record<string, unknown>> };
}

/**
 * Says whether a request's method changes nothing.
 *
 * @throws TypeError when the request has no method
 */
function isSafe({ method }: CsrfRequest): boolean {
  if (typeof method !== "string" || method === "") {
    throw new TypeError(`request.method: expected a string, got ${typeof method}: pass the framework's request`);
  }
  return SAFE_METHODS.has(lowerAscii(method));
}
