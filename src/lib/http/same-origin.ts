import { type OptionReader, wrong } from "../core/options.ts";

/**
 * Says whether an origin is that of a host. The scheme is not compared, as a proxy may have ended TLS, but it says which port goes
 * without saying.
 *
 * @param origin - of a header Origin
 * @param host - of a header Host
 */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  const { protocol, host: expected } = new URL(origin);
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === expected;
}

/** Options that say whose pages count as the application's own. */
export interface OriginOptions {
  /** Origins besides the request's own host whose pages count as own: `"https://www.example.com"`. Default: none. */
  origins?: readonly string[] | undefined;
  /** Whether pages of other hosts of the same site count as own: `shop.example.com` for `www.example.com`. Default false. */
  sameSite?: boolean | undefined;
}

/** The parts of a request that are looked at: of a Request, a node:http request, or a framework's. */
export interface OriginRequest {
  headers: Headers | Record<string, string | string[] | undefined>;
  /** Of a Request, whose headers need not have the host. */
  url?: string | undefined;
}

/**
 * Tells requests of the application's own pages from those of other sites and hosts, by the headers that browsers set and pages can't:
 * Sec-Fetch-Site, Origin and Referer.
 */
export class OriginRule {
  readonly #origins: ReadonlySet<string>;
  readonly #sameSite: boolean;

  /** @throws TypeError when an option is wrong; it names the option */
  constructor(read: OptionReader) {
    const origins = read.value("origins", []);
    if (!Array.isArray(origins)) throw read.wrong("origins", "an array");
    for (const origin of origins as readonly unknown[]) {
      if (typeof origin !== "string" || !URL.canParse(origin) || new URL(origin).origin !== origin) {
        throw wrong("origins", 'origins such as "https://www.example.com"', origin);
      }
    }
    this.#origins = new Set(origins as string[]);
    this.#sameSite = read.bool("sameSite", false);
  }

  /** Says whether no other page than an own one can have sent a request. One that tells nothing comes from no browser, and passes. */
  allows(request: OriginRequest): boolean {
    const source = sourceOf(request);
    if (source !== undefined && this.#origins.has(source)) return true;
    const site = headerOf(request, "sec-fetch-site");
    if (site !== undefined)
      return site === "same-origin" || site === "none" || (site === "same-site" && this.#sameSite);
    return source === undefined || isOriginOf(source, hostOf(request));
  }

  /**
   * Says the same of a WebSocket's handshake, where browsers always send Origin: that of the request's own host is enough, as browsers do
   * not agree about Sec-Fetch-Site there.
   */
  allowsHandshake(request: OriginRequest): boolean {
    const origin = headerOf(request, "origin");
    return (origin !== undefined && isOriginOf(origin, hostOf(request))) || this.allows(request);
  }
}

/** The value of a request's header. @param name - in lower case */
export function headerOf({ headers }: OriginRequest, name: string): string | undefined {
  if (isHeaders(headers)) return headers.get(name) ?? undefined;
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** By their shape: a framework may bring a class of its own. A header that is named "get" is no function. */
function isHeaders(headers: OriginRequest["headers"]): headers is Headers {
  return typeof headers.get === "function";
}

/** The origin of the page that has sent a request; an unreadable one is no origin of ours. */
function sourceOf(request: OriginRequest): string | undefined {
  const origin = headerOf(request, "origin");
  const referer = headerOf(request, "referer");
  if (origin !== undefined || referer === undefined) return origin;
  return URL.canParse(referer) ? new URL(referer).origin : "null";
}

/** The host that was asked for. HTTP/2 has it under a name that only node:http2 shows; a Request may have it in its URL only. */
function hostOf(request: OriginRequest): string | undefined {
  const authority = isHeaders(request.headers) ? undefined : headerOf(request, ":authority");
  const url = request.url !== undefined && URL.canParse(request.url) ? new URL(request.url) : undefined;
  return headerOf(request, "host") ?? authority ?? url?.host;
}
