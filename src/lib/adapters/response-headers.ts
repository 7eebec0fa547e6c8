import { forbidsStoring, isTargetedCacheHeader, lowerAscii, withNoStore, withVary } from "../http/headers.ts";
import { systemNow } from "../core/time.ts";
import type { CommitResult } from "../manager/commit-result.ts";

/** The headers of a response that was not sent yet, whichever class it has. */
export interface OpenHeaders {
  /** Returns the value. Several values are joined by commas. */
  get(name: string): string | null | undefined;
  set(name: string, value: string): void;
  delete(name: string): void;
  /** Returns the names of all headers, in any case. */
  names(): Iterable<string>;
  /** Returns each Set-Cookie header. */
  getSetCookie(): string[];
  setSetCookie(values: string[]): void;
}

/**
 * Headers that belong to one particular answer: they describe its body (`Content-*`, `ETag`), its transfer, its caching, the file that a
 * proxy sends instead (`X-Accel-Redirect`), and what the client does with it (`Location`, `Refresh`, `Set-Cookie`, `Clear-Site-Data`).
 * Security policies are not among them.
 */
const ENTITY_HEADER =
  /^(?:content-(?!security-policy).+|etag|last-modified|cache-control|expires|age|location|refresh|set-cookie|clear-site-data|accept-ranges|transfer-encoding|trailer|digest|repr-digest|(?:x-)?sourcemap|x-accel-(?!buffering).+|x-sendfile|x-lighttpd-send-file|x-litespeed-location)$/i;

/** Says whether a header must be removed when another answer replaces a failed one. */
export function isEntityHeader(name: string): boolean {
  return ENTITY_HEADER.test(name) || isTargetedCacheHeader(name);
}

/** Says whether a commit changes no header of the response. */
export function changesNothing({ kind, vary }: CommitResult): boolean {
  return kind === "nothing" && vary === undefined;
}

/** Applies a commit's cookie, token header, Vary and caching rules to a response. At most one Set-Cookie of the session's name is live. */
export function applyCommit(headers: OpenHeaders, result: CommitResult): void {
  const { kind, setCookie, tokenHeader, vary } = result;
  if (vary !== undefined) headers.set("Vary", withVary(headers.get("Vary") ?? undefined, vary));
  if (kind === "nothing") return;
  forbidStoring(headers);
  if (tokenHeader !== undefined) headers.set(tokenHeader.name, tokenHeader.value);
  if (setCookie === undefined) return;
  const own = new Set([...result.clearing, setCookie]);
  const others = headers.getSetCookie().filter((header) => !result.replaces(header) && !own.has(header));
  // The session's cookie comes last, so that a cookie jar that confuses two scopes keeps it.
  headers.setSetCookie([...others, ...own]);
}

/** Forbids every cache to store a response with a token. Pragma stays, because it never permits storing. */
function forbidStoring(headers: OpenHeaders): void {
  headers.set("Cache-Control", withNoStore(headers.get("Cache-Control") ?? undefined));
  for (const name of Array.from(headers.names())) {
    if (mayAllowStoring(name, () => headers.get(name) ?? "")) headers.delete(name);
  }
}

function mayAllowStoring(name: string, value: () => string): boolean {
  if (isTargetedCacheHeader(name)) return !forbidsStoring(value());
  // Old caches that ignore Cache-Control obey Expires. A past or invalid date forbids storing.
  return lowerAscii(name) === "expires" && Date.parse(value()) > systemNow();
}
