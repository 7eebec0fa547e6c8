import { type OptionReader, wrong } from "../core/options.ts";

/**
 * Tells whether an origin belongs to a host. The scheme only gives the default port. It is not compared, as a proxy may have ended TLS.
 *
 * @param origin - the value of the header Origin
 * @param host - the value of the header Host
 */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  const { protocol, host: expected } = new URL(origin);
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === expected;
}

/** Options that define the application's own pages. The pages of the request's host always count. */
export interface OriginOptions {
  /** Further origins whose pages count, such as `"https://www.example.com"`. Default: none. */
  origins?: readonly string[] | undefined;
  /** Whether pages of the same site's other hosts count: `shop.example.com` for `www.example.com`. Default false. */
  sameSite?: boolean | undefined;
}

/** The parts of a request that the rule reads. Fits a Request and the requests of node:http and frameworks. */
export interface OriginRequest {
  headers: Headers | Record<string, string | string[] | undefined>;
  /** The URL of a Request, whose headers may lack the host. */
  url?: string | undefined;
}

/**
 * Recognises requests from the application's own pages, by headers that only the browser can set: Sec-Fetch-Site,
 * Origin and Referer.
 *
 * Why: docs/decisions/011-csrf.md
 */
export class OriginRule {
  readonly #origins: ReadonlySet<string>;
  readonly #sameSite: boolean;

  /** Reads `origins` and `sameSite` from a caller's options. @throws TypeError, naming the option, when one is wrong */
  constructor(read: OptionReader) {
    const origins = read.value("origins", []);
    if (!Array.isArray(origins)) throw read.wrong("origins", "an array of origins");
    for (const origin of origins as readonly unknown[]) {
      if (typeof origin !== "string" || !URL.canParse(origin) || new URL(origin).origin !== origin) {
        throw wrong("origins", 'origins such as "https://www.example.com"', origin);
      }
    }
    this.#origins = new Set(origins as string[]);
    this.#sameSite = read.bool("sameSite", false);
  }

  /**
   * Tells whether one of the application's pages sent a request. A request without these headers is not from a browser
   * and passes.
   */
  allows(request: OriginRequest): boolean {
    const source = sourceOf(request);
    if (source !== undefined && this.#origins.has(source)) return true;
    const site = headerOf(request, "sec-fetch-site");
    if (site !== undefined)
      return site === "same-origin" || site === "none" || (site === "same-site" && this.#sameSite);
    return source === undefined || isOriginOf(source, hostOf(request));
  }

  /**
   * Tells whether one of the application's pages sent a WebSocket handshake. An Origin with the request's own host is
   * enough, because browsers always send Origin here but disagree about Sec-Fetch-Site.
   */
  allowsHandshake(request: OriginRequest): boolean {
    const origin = headerOf(request, "origin");
    return (origin !== undefined && isOriginOf(origin, hostOf(request))) || this.allows(request);
  }
}

/** Reads a header of a request. @param name - in lower case */
export function headerOf({ headers }: OriginRequest, name: string): string | undefined {
  if (isHeaders(headers)) return headers.get(name) ?? undefined;
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Recognises Headers by their shape, as a framework may have its own class. A header named "get" is not a function. */
function isHeaders(headers: OriginRequest["headers"]): headers is Headers {
  return typeof headers.get === "function";
}

/** Returns the origin of the page that sent a request, or "null" for an unreadable Referer, which matches no host. */
function sourceOf(request: OriginRequest): string | undefined {
  const origin = headerOf(request, "origin");
  const referer = headerOf(request, "referer");
  if (origin !== undefined || referer === undefined) return origin;
  return URL.canParse(referer) ? new URL(referer).origin : "null";
}

/** Returns the host of a request. In HTTP/2 it may be in `:authority`, and in a Request only in the URL. */
function hostOf(request: OriginRequest): string | undefined {
  const authority = isHeaders(request.headers) ? undefined : headerOf(request, ":authority");
  const url = request.url !== undefined && URL.canParse(request.url) ? new URL(request.url) : undefined;
  return headerOf(request, "host") ?? authority ?? url?.host;
}
