export {
  ExpressSessionStore,
  type ExpressSessionStoreOptions,
  type ListedSession,
} from "./lib/express-session/store.ts";
export type { ExpressSessionData } from "./lib/express-session/data.ts";
export { importConnectPgSimple, type ImportOptions, type ImportResult } from "./lib/express-session/import.ts";
