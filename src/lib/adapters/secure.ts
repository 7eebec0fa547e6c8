import { lowerAscii, trimBlanks } from "../http/headers.ts";
import { warn } from "../core/log.ts";
import type { CommitResult } from "../manager/commit-result.ts";
import type { ResolvedOptions } from "../manager/options.ts";

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
