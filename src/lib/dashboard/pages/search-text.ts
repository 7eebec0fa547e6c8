import { isIP } from "node:net";
import { isToken } from "../../core/token.ts";
import { assertUserId } from "../../core/user-id.ts";

/** Says whether a text is a valid user id. */
export function isUserId(text: string): boolean {
  try {
    assertUserId("id", text);
    return true;
  } catch {
    return false;
  }
}

/** Says whether a text is an IP address or has the form of a session's id. Other texts are the beginnings of user ids. */
export function isAboutSessions(text: string): boolean {
  return isIP(text) > 0 || isToken(text);
}

/** Says whether a text may be the beginning of a session's id, as pages show it. It may be a user's as well. */
export function isBeginningOfId(text: string): boolean {
  return /^[\w-]{12,43}$/.test(text);
}
