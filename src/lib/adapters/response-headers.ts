import { forbidsStoring, isTargetedCacheHeader, lowerAscii, withNoStore, withVary } from "../http/headers.ts";
import { systemNow } from "../core/time.ts";
import type { CommitResult } from "../manager/commit-result.ts";

/** The headers of a response that has not left, of whichever kind. */
export interface OpenHeaders {
  /** The value; several joined by commas. */
  get(name: string): string | null | undefined;
  set(name: string, value: string): void;
  delete(name: string): void;
  /** The names of those that are there, in whichever case. */
  names(): Iterable<string>;
  /** Each Set-Cookie. */
  getSetCookie(): string[];
  setSetCookie(values: string[]): void;
}

/**
 * Headers that speak of a body: what it is (`Content-*`, `ETag`), how it is sent, how long it may be kept, by whom (`Cache-Control`
 * and its targeted kin), what a proxy is to send in its place (`X-Accel-Redirect`), and what its reader is to do (`Location`,
 * `Refresh`, `Set-Cookie`, `Clear-Site-Data`). Policies stay.
 */
const ENTITY_HEADER =
  /^(?:content-(?!security-policy).+|etag|last-modified|cache-control|expires|age|location|refresh|set-cookie|clear-site-data|accept-ranges|transfer-encoding|trailer|digest|repr-digest|(?:x-)?sourcemap|x-accel-(?!buffering).+|x-sendfile|x-lighttpd-send-file|x-litespeed-location)$/i;

/** Says whether a header must not stay on the answer that takes the place of a failed one. */
export function isEntityHeader(name: string): boolean {
  return ENTITY_HEADER.test(name) || isTargetedCacheHeader(name);
}

/** Says whether a commit leaves a response as it is. */
export function hasNothingToTell({ kind, vary }: CommitResult): boolean {
  return kind === "nothing" && vary === undefined;
}

/** Adds what the client must be told. One Set-Cookie of our name at most is live. */
export function applyCommit(headers: OpenHeaders, result: CommitResult): void {
  const { kind, setCookie, tokenHeader, vary } = result;
  if (vary !== undefined) headers.set("Vary", withVary(headers.get("Vary") ?? undefined, vary));
  if (kind === "nothing") return;
  forbidStoring(headers);
  if (tokenHeader !== undefined) headers.set(tokenHeader.name, tokenHeader.value);
  if (setCookie === undefined) return;
  const ours = new Set([...result.clearing, setCookie]);
  const others = headers.getSetCookie().filter((header) => !result.replaces(header) && !ours.has(header));
  // Ours is the last: a jar that takes two scopes for one keeps it.
  headers.setSetCookie([...others, ...ours]);
}

/** Beside a token no cache may store anything. Pragma stays: no cache takes it for a permission. */
function forbidStoring(headers: OpenHeaders): void {
  headers.set("Cache-Control", withNoStore(headers.get("Cache-Control") ?? undefined));
  for (const name of Array.from(headers.names())) {
    if (mayAllowStoring(name, () => headers.get(name) ?? "")) headers.delete(name);
  }
}

function mayAllowStoring(name: string, value: () => string): boolean {
  if (isTargetedCacheHeader(name)) return !forbidsStoring(value());
  // For old caches that know no Cache-Control. A time that has passed, or that is none, forbids.
  return lowerAscii(name) === "expires" && Date.parse(value()) > systemNow();
}
