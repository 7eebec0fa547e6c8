import { warn } from "../core/log.ts";
import { lowerAscii, trimBlanks } from "../http/headers.ts";
import type { CommitResult } from "../manager/commit-result.ts";
import type { ResolvedOptions } from "../manager/options.ts";
import type { WhenGone } from "../session/request-facts.ts";

type Header = string | string[] | null | undefined;

/** Finds the address from which the trusted proxy was asked. */
export function forwardedFor(header: Header): string | undefined {
  return lastOf(header) || undefined;
}

/** Says whether the trusted proxy was asked over TLS. */
export function isForwardedSecure(forwardedProto: Header): boolean {
  return lowerAscii(lastOf(forwardedProto)) === "https";
}

/** Reads what the last proxy, the trusted one, has added: anybody can have written what stands before it. */
function lastOf(header: Header): string {
  return trimBlanks([header ?? ""].flat().join(",").split(",").at(-1) ?? "");
}

const UNTRUSTED =
  "A request came with X-Forwarded-Proto: https, and its session's cookie went out without Secure: trustProxy is off. Set trustProxy: true behind a " +
  "proxy that sets this header, or cookie.secure: true";
const PLAIN =
  "A session's cookie with Secure went out over plain HTTP, where browsers drop it, and each request begins another session. Serve it over TLS, or set " +
  'cookie.secure: "auto" without a prefix; behind a proxy that ends TLS, let it set X-Forwarded-Proto';

/**
 * Warns, once for a manager, of a cookie that lacks Secure behind a proxy that ends TLS, or that no browser will keep.
 *
 * @param isSecure - whether the request counts as one over TLS
 */
export function warnOfCookie(
  options: ResolvedOptions,
  { kind, setCookie }: CommitResult,
  isSecure: () => boolean,
  forwardedProto: Header,
): void {
  if (kind !== "set" || setCookie === undefined || isSecure()) return;
  const isForwarded = isForwardedSecure(forwardedProto);
  if (options.secure === "auto" && isForwarded) warn("PGSTORE_TRUST_PROXY", UNTRUSTED, options);
  if (options.secure === true && !isForwarded) warn("PGSTORE_SECURE_COOKIE", PLAIN, options);
}

/** Headers by which browsers say that they fetch in advance: Chromium, older ones and Safari, old Firefox. */
const HEADERS = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/**
 * Says whether nobody may ever see the answer to a request: a HEAD, or one that a browser makes in advance.
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

/** What of a response tells when it is closed. */
interface Closing {
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

/**
 * Notices that a client has gone: its response is closed before it was sent. Undefined for what passes for a response and tells
 * nothing, as the `{}` of an upgrade.
 */
export function whenClosed(response: unknown): WhenGone | undefined {
  const { once } = (response ?? {}) as Partial<Closing>;
  if (typeof once !== "function") return undefined;
  return (listener) => {
    (response as Closing).once("close", listener);
    return () => (response as Closing).off("close", listener);
  };
}
