import type { ServerResponse } from "node:http";
import { lowerAscii } from "../http/headers.ts";
import { systemNow } from "../core/time.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../http/csrf-token.ts";
import { type Duration, OptionReader } from "../core/options.ts";
import { CsrfError } from "../core/errors.ts";
import { createToken } from "../core/token.ts";
import type { SessionState } from "../session/state.ts";
import { CSRF } from "../session/reserved.ts";
import { stateOf } from "../session/session.ts";
import { readForm } from "../http/form.ts";
import { passError } from "./node-error.ts";
import { headerOf, type OriginOptions, type OriginRequest, OriginRule } from "../http/same-origin.ts";

/** Options of `csrfProtection`. */
export interface CsrfOptions extends OriginOptions {
  /**
   * How own forms are told from others. `"token"`: by a token that is bound to the session, and by what browsers tell of where a request
   * comes from. `"origin"`: by the latter alone, which needs no hidden field, no session and no row. Default `"token"`.
   */
  method?: "token" | "origin" | undefined;
  /** The request header that scripts put the token into. Default `"X-CSRF-Token"`. */
  header?: string | undefined;
  /** The field that forms have it in. Default `"_csrf"`. */
  field?: string | undefined;
  /** How long the session of a visitor lives that holds nothing but an open form, from the last time that the page was shown. Default `"1h"`. */
  formLifetime?: Duration | undefined;
  /** Bytes of a form that `csrf.fetch` and `csrf.hono` read to find the token; a longer one is answered with 413. Default 1 MiB. */
  maxFormBytes?: number | undefined;
}

/** The parts of a request that are looked at: of a Request, a node:http request, or a framework's. */
export interface CsrfRequest extends OriginRequest {
  method?: string | undefined;
}

/** A manager, of whichever data; lazy ones too. */
interface Manager {
  sessionOf(request: object): unknown;
}

/** A session, of whichever data. */
type AnySession = object & { token: string | undefined };

type Body = { body?: unknown };

const FORM = /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i;
const SAFE_METHODS = new Set(["get", "head", "options", "trace"]);

/**
 * Protects what changes something from being asked for by other sites' pages. By default by a token that is bound to the session: put
 * `token(session)` into each form and `verify` before what it does. With `method: "origin"` by what browsers tell of where a request comes from.
 *
 * A token dies with the session's own: by `login`, `renewToken`, `renew` and `destroy`.
 *
 * @throws TypeError when an option is wrong; it names the option
 * @see OWASP ASVS 5.0.0, 3.5.1 to 3.5.3
 * @example
 * const csrf = csrfProtection({ method: "origin" });
 * const handler = fetchHandler(manager, csrf.fetch((request, session) => change(request, session)));
 */
export function csrfProtection(options: CsrfOptions = {}): CsrfProtection {
  return new CsrfProtection(options);
}

export class CsrfProtection {
  readonly #rule: OriginRule;
  readonly #needsToken: boolean;
  readonly #header: string;
  readonly #field: string;
  readonly #formLifetime: number;
  readonly #maxFormBytes: number;

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
   * Makes the token for this session's forms, another text each time; with `method: "origin"` an empty one, as forms need none.
   *
   * A visitor's session is stored from now on, for `formLifetime` as long as it holds nothing else, as its cookie must come back with the form.
   * It is not stored where nobody sees the page: a HEAD, or a browser that fetches in advance. The form of a page that was fetched in
   * advance is refused at the first try.
   *
   * @throws AlreadyCommittedError when the session is new and the response's head has left
   */
  token(session: AnySession): string {
    if (!this.#needsToken) return "";
    const state = stateOf(session);
    if (this.#mustKeep(state)) {
      state.assertWritable("csrf.token", undefined);
      state.values.apply({ kind: "set", key: CSRF, value: this.#formLifetime });
    }
    // One that has ended can't send anything any more; its page still must be shown.
    return csrfTokenOf(session.token ?? createToken());
  }

  /**
   * Lets a request pass that changes nothing by its method, or that one of our own pages has sent, with this session's token unless the
   * method is "origin".
   *
   * @param token - what the form's field held; the header is looked at by itself
   * @throws CsrfError, which adapters answer with 403; TypeError when the request has no method
   */
  verify(session: AnySession, request: CsrfRequest, token?: unknown): void {
    if (isSafe(request)) return;
    if (!this.#rule.allows(request)) throw new CsrfError("origin");
    if (!this.#needsToken) return;
    const presented = headerOf(request, this.#header) ?? token ?? "";
    if (presented === "") throw new CsrfError("missing");
    if (session.token === undefined || !isCsrfTokenOf(session.token, presented)) throw new CsrfError("token");
  }

  /** Middleware for Express, Connect and Polka, after the session's and after the body's parser. */
  connect(manager: Manager): (request: object, response: object, next: (error?: unknown) => void) => void {
    return (request, response, next) => {
      // What next() itself throws would otherwise be nobody's.
      this.#check(manager, request, request as CsrfRequest, (request as Body).body)
        .then(() => next())
        .catch((error: unknown) => passError(error, response as ServerResponse, next));
    };
  }

  /** A hook for Fastify: `app.addHook("preHandler", csrf.fastify(manager))`. */
  fastify(manager: Manager): (request: object) => Promise<void> {
    return (request) => this.#check(manager, request, request as CsrfRequest, (request as Body).body);
  }

  /** Middleware for Koa, after the session's and after the body's parser. */
  koa(manager: Manager): (context: object, next: () => Promise<unknown>) => Promise<unknown> {
    return async (context, next) => {
      const { request, req } = context as { request: Body; req: CsrfRequest };
      await this.#check(manager, context, req, request.body);
      return next();
    };
  }

  /** Middleware for Hono, after the session's. It reads forms, which handlers can then read again. */
  hono(manager: Manager): (context: HonoContext, next: () => Promise<void>) => Promise<void> {
    return async (context, next) => {
      const { req } = context;
      const session = await this.#sessionFor(manager, context);
      const parse = (): Promise<unknown> => req.parseBody().then((body) => body[this.#field]);
      this.verify(session, req.raw, await this.#fieldOf(req.raw, session, parse));
      await next();
    };
  }

  /** Wraps what `fetchHandler` wraps: `fetchHandler(manager, csrf.fetch((request, session) => …))`, which can read the form again. */
  fetch<Session extends object, Rest extends unknown[]>(
    handler: (request: Request, session: Session, ...rest: Rest) => Response | Promise<Response>,
  ): (request: Request, session: Session, ...rest: Rest) => Promise<Response> {
    return async (request, session, ...rest) => {
      const loaded = (this.#needsToken ? await (session as unknown) : session) as AnySession;
      this.verify(loaded, request, await this.#fieldOf(request, loaded));
      return handler(request, session, ...rest);
    };
  }

  async #check(manager: Manager, bound: object, request: CsrfRequest, body: unknown): Promise<void> {
    const field: unknown = (body as Record<string, unknown> | null | undefined)?.[this.#field];
    this.verify(await this.#sessionFor(manager, bound), request, field);
  }

  /** A lazy session is not loaded for what needs none. */
  async #sessionFor(manager: Manager, bound: object): Promise<AnySession> {
    const session = manager.sessionOf(bound);
    return (this.#needsToken ? await session : session) as AnySession;
  }

  /** A visitor's session must be there when the form comes: it is made, or lives on where half of its time is over. */
  #mustKeep(state: SessionState): boolean {
    const { phase, sealedBy, values } = state;
    if (phase === "new") return !values.all.has(CSRF) && state.facts.speculative !== true;
    const isOpen = phase === "stored" && state.transition === undefined && sealedBy === undefined;
    if (!isOpen || state.formLifetime === undefined || values.deadline === undefined) return false;
    return values.deadline.getTime() - systemNow() < this.#formLifetime / 2 && state.facts.speculative !== true;
  }

  /**
   * What a form has in the token's field. A body is read only where a form may have the token, and where it could still be of use.
   *
   * @param parse - gives the field of a form that somebody has read before
   */
  async #fieldOf(request: Request, session: AnySession, parse?: () => Promise<unknown>): Promise<unknown> {
    const { headers } = request;
    const mayBeForm = !isSafe(request) && FORM.test(headers.get("content-type") ?? "");
    if (!mayBeForm || !this.#needsToken || headers.has(this.#header) || !this.#rule.allows(request)) return undefined;
    // Nobody has got the token of a session that begins with this request, nor of one that has ended.
    const state = stateOf(session);
    if (state.isOver || state.token === undefined) return WORTHLESS;
    if (parse !== undefined && request.bodyUsed) return parse().catch(() => undefined);
    const form = await readForm(request, this.#maxFormBytes);
    if (form === "too large") throw new CsrfError("size");
    return form?.get(this.#field);
  }
}

/** Stands for a field that was not read, as no value of it could be right. */
const WORTHLESS = "unread";

/** What of Hono's context is used. */
interface HonoContext {
  req: { raw: Request; parseBody(): Promise<Record<string, unknown>> };
}

/** @throws TypeError when the request has no method: nothing tells whether it changes something */
function isSafe({ method }: CsrfRequest): boolean {
  if (typeof method !== "string" || method === "") {
    throw new TypeError(`request.method: expected a string, got ${typeof method}: pass the framework's request`);
  }
  return SAFE_METHODS.has(lowerAscii(method));
}
