import { csrfTokenOf, isCsrfTokenOf } from "../base/csrf-token.ts";
import { CsrfError } from "../base/errors.ts";
import { createToken } from "../base/token.ts";
import { CSRF } from "../session/record.ts";
import { recordOf } from "../session/session.ts";

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
}

/** A manager, of whichever data; lazy ones too. */
interface Manager {
  sessionOf(request: object): unknown;
}

/** A session, of whichever data. */
type AnySession = object & { token: string | undefined };

type Body = { body?: unknown };

const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

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
    this.#header = header.toLowerCase();
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
    if (SAFE_METHODS.has((request.method ?? "GET").toUpperCase())) return;
    if (!this.#isOwnPage(request)) throw new CsrfError("origin");
    const presented = headerOf(request, this.#header) ?? token;
    if (session.token === undefined || !isCsrfTokenOf(session.token, presented)) throw new CsrfError("token");
  }

  /** Middleware for Express, Connect and Polka, after the session's and after the body's parser. */
  connect(manager: Manager): (request: object, response: object, next: (error?: unknown) => void) => void {
    return (request, _response, next) => {
      this.#check(manager, request, request as CsrfRequest, (request as Body).body).then(() => next(), next);
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
      const isForm = /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(
        req.header("content-type") ?? "",
      );
      const hasToken = req.header(this.#header) !== undefined;
      const body = isForm && !hasToken && !SAFE_METHODS.has(req.raw.method) ? await req.parseBody() : undefined;
      await this.#check(manager, context, req.raw, body);
      await next();
    };
  }

  async #check(manager: Manager, bound: object, request: CsrfRequest, body: unknown): Promise<void> {
    const field: unknown = (body as Record<string, unknown> | null | undefined)?.[this.#field];
    this.verify((await manager.sessionOf(bound)) as AnySession, request, field);
  }

  /** Browsers tell; what tells nothing is no browser, and needs the token all the same. */
  #isOwnPage(request: CsrfRequest): boolean {
    const source = headerOf(request, "origin") ?? originOf(headerOf(request, "referer"));
    if (source !== undefined && this.#origins.has(source)) return true;
    const site = headerOf(request, "sec-fetch-site");
    if (site !== undefined)
      return site === "same-origin" || site === "none" || (site === "same-site" && this.#sameSite);
    if (source === undefined) return true;
    return URL.canParse(source) && new URL(source).host === headerOf(request, "host");
  }
}

/** What of Hono's context is used. */
interface HonoContext {
  req: { raw: Request; header(name: string): string | undefined; parseBody(): Promise<Record<string, unknown>> };
}

function headerOf({ headers }: CsrfRequest, name: string): string | undefined {
  // Methods are told apart by what they are: a plain object may have a header named "get".
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** An unreadable one is no origin of ours. */
function originOf(referer: string | undefined): string | undefined {
  if (referer === undefined) return undefined;
  return URL.canParse(referer) ? new URL(referer).origin : "null";
}
