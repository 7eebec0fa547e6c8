import { warn } from "../core/log.ts";
import { lowerAscii, trimBlanks } from "../http/headers.ts";
import type { CommitResult } from "../manager/commit-result.ts";
import type { ResolvedOptions } from "../manager/options.ts";
import type { RequestClient, WhenGone } from "../session/request.ts";

type Header = string | string[] | null | undefined;

/** Returns the client's address as the trusted proxy has recorded it. */
export function forwardedFor(header: Header): string | undefined {
  return lastOf(header) || undefined;
}

/** Says whether the client's connection to the trusted proxy used TLS. */
export function isForwardedSecure(forwardedProto: Header): boolean {
  return lowerAscii(lastOf(forwardedProto)) === "https";
}

/** Returns the last value, which the trusted proxy has added. A client can forge the values before it. */
function lastOf(header: Header): string {
  return trimBlanks([header ?? ""].flat().join(",").split(",").at(-1) ?? "");
}

const UNTRUSTED =
  "A session cookie was sent without Secure although the request came with X-Forwarded-Proto: https, because trustProxy is off. Set trustProxy: true " +
  "behind a proxy that sets this header, or cookie.secure: true";
const PLAIN =
  "A session cookie with Secure was sent over plain HTTP. Browsers drop it, so each request begins another session. Serve the application over TLS, or set " +
  'cookie.secure: "auto" without a prefix. A proxy that ends TLS must set X-Forwarded-Proto';

/**
 * Warns once per manager when a cookie lacks Secure behind a proxy that ends TLS, or has Secure over plain HTTP, where browsers drop it.
 *
 * @param request - says whether it came over TLS
 */
export function warnOfCookie(
  options: ResolvedOptions,
  { kind, setCookie }: CommitResult,
  request: { tls(): boolean },
  forwardedProto: Header,
): void {
  if (kind !== "set" || setCookie === undefined || request.tls()) return;
  const isForwarded = isForwardedSecure(forwardedProto);
  if (options.secure === "auto" && isForwarded) warn("PGSTORE_TRUST_PROXY", UNTRUSTED, options);
  if (options.secure === true && !isForwarded) warn("PGSTORE_SECURE_COOKIE", PLAIN, options);
}

/** Headers by which browsers mark a prefetch: Chromium, older versions and Safari, old Firefox. */
const HEADERS = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/**
 * Says whether a request's answer may never be seen, because it is a HEAD or a browser's prefetch.
 *
 * @see https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Purpose
 */
export function isSpeculative(
  method: string | undefined,
  header: (name: string) => string | string[] | null | undefined,
): boolean {
  return (
    method === "HEAD" || HEADERS.some((name) => /\b(?:prefetch|prerender|preview)\b/i.test(String(header(name) ?? "")))
  );
}

/** The part of a response that reports its end. */
interface Closing {
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

/**
 * Returns a function that watches for the client's disconnection. Undefined for an object without events, such as the `{}` of an upgrade.
 */
export function whenClosed(response: unknown): WhenGone | undefined {
  const { once } = (response ?? {}) as Partial<Closing>;
  if (typeof once !== "function") return undefined;
  return (listener) => {
    (response as Closing).once("close", listener);
    return () => (response as Closing).off("close", listener);
  };
}

/** The parts of a web-standard request that adapters read. Frameworks that hide the request may only have its headers. */
export interface WebRequest {
  readonly headers: { get(name: string): string | null };
  readonly url?: string | undefined;
  readonly method?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Describes the client of a web-standard request.
 *
 * @param address - returns the address that counts if no trusted proxy names one
 */
export function webClient(
  { trustProxy }: ResolvedOptions,
  { headers, method, signal }: WebRequest,
  address: () => string | undefined,
): RequestClient {
  return {
    ip: (trustProxy ? forwardedFor(headers.get("x-forwarded-for")) : undefined) ?? address(),
    userAgent: headers.get("user-agent") ?? undefined,
    speculative: isSpeculative(method, (name) => headers.get(name)),
    whenGone:
      signal &&
      ((listener) => {
        signal.addEventListener("abort", listener);
        return () => signal.removeEventListener("abort", listener);
      }),
  };
}

/** Says whether a web-standard request came over TLS. Undefined when neither its URL nor a trusted proxy tells. */
export function isWebTls({ trustProxy }: ResolvedOptions, { headers, url }: WebRequest): boolean | undefined {
  if (url !== undefined && /^https:/i.test(url)) return true;
  const forwarded = trustProxy ? headers.get("x-forwarded-proto") : null;
  if (forwarded !== null) return isForwardedSecure(forwarded);
  return url === undefined ? undefined : false;
}
