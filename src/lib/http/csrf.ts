import type { ServerResponse } from "node:http";
import { lowerAscii } from "../base/ascii.ts";
import { csrfTokenOf, isCsrfTokenOf } from "../base/csrf-token.ts";
import { CsrfError } from "../base/errors.ts";
import { createToken } from "../base/token.ts";
import { CSRF } from "../session/record.ts";
import { recordOf } from "../session/session.ts";
import { passError } from "./node-error.ts";

/** Options of `csrfProtection`. */
export interface CsrfOptions {
  /** Origins besides the request's own host whose pages may send forms: `"https://www.example.com"`. Default: none. */
  origins?: readonly string[];
  /** Whether pages of other hosts of the same site may: `shop.example.com` to `www.example.com`. Default false. */
  sameSite?: boolean;
  /** The request header that scripts put the token into. Default `"X-CSRF-Token"`. */
  header?: string;
  /** The field that forms have it in. Default `"_csrf"`. */
  field?: string;
}

/** What is looked at of a request: a Request, a node:http request, or a framework's. */
export interface CsrfRequest {
  method?: string | undefined;
  headers: Headers | Record<string, string | string[] | undefined>;
  /** Of a Request, whose headers need not have the host. */
  url?: string | undefined;
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
 * Protects what changes something from being asked for by other sites' pages: a token that is bound to the session, and what
 * browsers tell of where a request comes from. Put `token(session)` into each form and `verify` before what it does.
 *
 * The token dies with the session's own: by `login`, `renewToken`, `renew` and `destroy`.
 *
 * @throws TypeError when an option is wrong; it names the option
 * @see OWASP ASVS 5.0.0, 3.5.1 to 3.5.3
 */
export function csrfProtection(options: CsrfOptions = {}): CsrfProtection {
  return new CsrfProtection(options);
}

export class CsrfProtection {
  readonly #origins: ReadonlySet<string>;
  readonly #sameSite: boolean;
  readonly #header: string;
  readonly #field: string;

  constructor(options: CsrfOptions) {
    const { origins = [], sameSite = false, header = "X-CSRF-Token", field = "_csrf", ...rest } = options;
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new TypeError(`${unknown}: there is no such option`);
    if (!Array.isArray(origins)) throw new TypeError("origins: must be an array");
    for (const origin of origins as readonly unknown[]) {
      if (typeof origin !== "string" || !URL.canParse(origin) || new URL(origin).origin !== origin) {
        throw new TypeError(`origins: ${JSON.stringify(origin)} is no origin, such as "https://www.example.com"`);
      }
    }
    if (typeof sameSite !== "boolean") throw new TypeError("sameSite: must be a boolean");
    for (const [name, value] of Object.entries({ header, field })) {
      if (typeof value !== "string" || value === "") throw new TypeError(`${name}: must be a non-empty string`);
    }
    this.#origins = new Set(origins);
    this.#sameSite = sameSite;
    this.#header = lowerAscii(header);
    this.#field = field;
  }

  /**
   * The token for this session's forms, another text each time. A session that holds nothing yet is stored from now on, as its
   * cookie must come back with the form.
   *
   * @throws AlreadyCommittedError when the session is new and the response's head has left
   */
  token(session: AnySession): string {
    const record = recordOf(session);
    if (record.phase === "new" && !record.values.has(CSRF)) {
      record.assertWritable("csrf.token", undefined);
      record.apply({ kind: "set", key: CSRF, value: true });
    }
    // One that has ended can't send anything any more; its page still must be shown.
    return csrfTokenOf(session.token ?? createToken());
  }

  /**
   * Lets a request pass that changes nothing by its method, or that one of our own pages has sent with this session's token.
   *
   * @param token - what the form's field held; the header is looked at by itself
   * @throws CsrfError, which adapters answer with 403
   */
  verify(session: AnySession, request: CsrfRequest, token?: unknown): void {
    if (isSafe(request)) return;
    if (!this.#isOwnPage(request)) throw new CsrfError("origin");
    const presented = headerOf(request, this.#header) ?? token;
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
      const body = this.#wantsField(req.raw) ? await req.parseBody() : undefined;
      await this.#check(manager, context, req.raw, body);
      await next();
    };
  }

  /** Wraps what `fetchHandler` wraps: `fetchHandler(manager, csrf.fetch((request, session) => …))`, which can read the form again. */
  fetch<Session extends object, Rest extends unknown[]>(
    handler: (request: Request, session: Session, ...rest: Rest) => Response | Promise<Response>,
  ): (request: Request, session: Session, ...rest: Rest) => Promise<Response> {
    return async (request, session, ...rest) => {
      const form = this.#wantsField(request) ? await formOf(request) : undefined;
      this.verify((await (session as unknown)) as AnySession, request, form?.get(this.#field));
      return handler(request, session, ...rest);
    };
  }

  async #check(manager: Manager, bound: object, request: CsrfRequest, body: unknown): Promise<void> {
    const field: unknown = (body as Record<string, unknown> | null | undefined)?.[this.#field];
    this.verify((await manager.sessionOf(bound)) as AnySession, request, field);
  }

  /** A body is read only where a form may have the token, and where it could still be of use. */
  #wantsField(request: Request): boolean {
    const { headers } = request;
    const mayBeForm = !isSafe(request) && FORM.test(headers.get("content-type") ?? "");
    return mayBeForm && !headers.has(this.#header) && this.#isOwnPage(request);
  }

  /** Browsers tell; what tells nothing is no browser, and needs the token all the same. */
  #isOwnPage(request: CsrfRequest): boolean {
    const source = headerOf(request, "origin") ?? originOf(headerOf(request, "referer"));
    if (source !== undefined && this.#origins.has(source)) return true;
    const site = headerOf(request, "sec-fetch-site");
    if (site !== undefined)
      return site === "same-origin" || site === "none" || (site === "same-site" && this.#sameSite);
    if (source === undefined) return true;
    return isHost(source, hostOf(request));
  }
}

/** What of Hono's context is used. */
interface HonoContext {
  req: { raw: Request; parseBody(): Promise<Record<string, unknown>> };
}

function isSafe({ method = "GET" }: CsrfRequest): boolean {
  return SAFE_METHODS.has(lowerAscii(method));
}

/** By their shape: a framework may bring a class of its own. A header that is named "get" is no function. */
function isHeaders(headers: CsrfRequest["headers"]): headers is Headers {
  return typeof headers.get === "function";
}

function headerOf({ headers }: CsrfRequest, name: string): string | undefined {
  if (isHeaders(headers)) return headers.get(name) ?? undefined;
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The host that was asked for. HTTP/2 has it under a name that only node:http2 shows; a Request may have it in its URL only. */
function hostOf(request: CsrfRequest): string | undefined {
  const authority = isHeaders(request.headers) ? undefined : headerOf(request, ":authority");
  const url = request.url !== undefined && URL.canParse(request.url) ? new URL(request.url) : undefined;
  return headerOf(request, "host") ?? authority ?? url?.host;
}

/** The scheme is not compared, as a proxy may have ended TLS; but it says which port goes without saying. */
function isHost(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  const { protocol, host: expected } = new URL(origin);
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === expected;
}

/** One that can't be read has no token. */
function formOf(request: Request): Promise<FormData | undefined> {
  return request
    .clone()
    .formData()
    .catch(() => undefined);
}

/** An unreadable one is no origin of ours. */
function originOf(referer: string | undefined): string | undefined {
  if (referer === undefined) return undefined;
  return URL.canParse(referer) ? new URL(referer).origin : "null";
}
