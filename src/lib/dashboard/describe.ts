import { atMost } from "../core/time.ts";
import type { ResolvedDashboard } from "./options.ts";

/** A user as pages show it. */
export interface ShownUser {
  /** The user's name in the table. */
  userId: string;
  /** Name for people. Undefined: the id is shown alone. */
  name: string | undefined;
  /** Address of the user's page in the application: relative, or with the scheme http or https. */
  href: string | undefined;
}

/** Time that a page waits for `describeUser`. */
const MAX_WAIT_MS = 2000;
const MAX_NAME_CHARACTERS = 100;

/**
 * Asks the application once for the names of a page's users. A failure is logged, and so is an answer that takes longer than 2 seconds. The
 * page then shows ids alone.
 *
 * @returns a function that describes the user of an id
 */
export async function describeUsers(
  { describeUser }: ResolvedDashboard,
  userIds: readonly string[],
): Promise<(userId: string) => ShownUser> {
  let described: ReadonlyMap<string, unknown> | undefined;
  if (describeUser !== undefined && userIds.length > 0) {
    try {
      const asked = Promise.resolve(describeUser([...new Set(userIds)])).then((answer) => (described = mapOf(answer)));
      await atMost(asked, MAX_WAIT_MS);
      if (described === undefined) console.error(`pgstore: describeUser took more than ${MAX_WAIT_MS} ms`);
    } catch (error) {
      console.error("pgstore: describeUser failed:", error);
    }
  }
  return (userId) => {
    const found = described?.get(userId);
    const { name, href }: { name?: unknown; href?: unknown } = typeof found === "object" && found !== null ? found : {};
    return { userId, name: nameIn(name), href: addressIn(href) };
  };
}

/** Turns the application's answer, whatever it is, into a map. */
function mapOf(answer: unknown): ReadonlyMap<string, unknown> {
  return answer instanceof Map ? answer : new Map(Object.entries(answer ?? {}));
}

function nameIn(name: unknown): string | undefined {
  if (typeof name !== "string" || name === "") return undefined;
  return name.length > MAX_NAME_CHARACTERS ? `${name.slice(0, MAX_NAME_CHARACTERS - 1).toWellFormed()}…` : name;
}

/** Returns an address that a browser opens as a page, without "javascript:" and its like. */
function addressIn(href: unknown): string | undefined {
  if (typeof href !== "string" || href === "") return undefined;
  // The parser of browsers: it ignores blanks and line breaks, as in "java\nscript:".
  const base = "http://base.invalid/";
  return URL.canParse(href, base) && /^https?:$/.test(new URL(href, base).protocol) ? href : undefined;
}
