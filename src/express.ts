export { connect, connect as session, connect as default, type WithSession } from "./lib/adapters/express.ts";
export type { ExpressSessionSource, MigrationOptions, OldStore } from "./lib/adapters/migration.ts";
export type { AdapterOptions as ConnectOptions } from "./lib/adapters/passport/adapter.ts";
export type { PassportOptions } from "./lib/adapters/passport/options.ts";
export type { PassportSession } from "./lib/adapters/passport/session.ts";
export type { PropertyOptions } from "./lib/adapters/property.ts";
