import { withNoStore, withVary } from "../base/cache-headers.ts";
import type { CommitResult } from "../manager/commit-result.ts";

/** The headers of a response that has not left, of whichever kind. */
export interface OpenHeaders {
  /** The value; several joined by commas. */
  get(name: string): string | null | undefined;
  set(name: string, value: string): void;
  delete(name: string): void;
  /** Each Set-Cookie. */
  getSetCookie(): string[];
  setSetCookie(values: string[]): void;
}

const ENTITY_HEADER =
  /^(?:content-(?!security-policy)|etag$|last-modified$|cache-control$|expires$|location$|set-cookie$|accept-ranges$|transfer-encoding$|trailer$)/i;

/** Says whether a header must not stay on the answer that takes the place of a failed one. */
export function isEntityHeader(name: string): boolean {
  return ENTITY_HEADER.test(name);
}

/** Says whether a commit leaves a response as it is. */
export function tellsNothing({ kind, vary }: CommitResult): boolean {
  return kind === "nothing" && vary === undefined;
}

/** Adds what the client must be told. @param cookieName - of ours: there is one such Set-Cookie at most */
export function tell(headers: OpenHeaders, result: CommitResult, cookieName: string): void {
  const { kind, setCookie, tokenHeader, vary } = result;
  if (vary !== undefined) headers.set("Vary", withVary(headers.get("Vary") ?? undefined, vary));
  if (kind === "nothing") return;
  headers.set("Cache-Control", withNoStore(headers.get("Cache-Control") ?? undefined));
  if (tokenHeader !== undefined) headers.set(tokenHeader.name, tokenHeader.value);
  if (setCookie === undefined) return;
  const others = headers.getSetCookie().filter((cookie) => !cookie.startsWith(`${cookieName}=`));
  headers.setSetCookie([...others, setCookie]);
}
