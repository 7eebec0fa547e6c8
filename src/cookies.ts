export { type CookieJar, type JarOptions, type JarValue, openSession, withSession } from "./lib/adapters/cookies.ts";
export type { WebRequest } from "./lib/adapters/request.ts";
