export {
  ExpressSessionStore,
  type ExpressSessionStoreOptions,
  type ListedSession,
} from "./lib/http/express-session.ts";
export type { ExpressSessionData } from "./lib/http/express-session-data.ts";
export { importConnectPgSimple, type ImportOptions, type ImportResult } from "./lib/http/express-session-import.ts";
