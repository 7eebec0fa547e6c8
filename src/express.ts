export { connect, connect as session, connect as default, type WithSession } from "./lib/adapters/connect.ts";
export type { PropertyOptions } from "./lib/adapters/property.ts";
