export { connect, connect as session, connect as default, type WithSession } from "./lib/adapters/express.ts";
export type { PropertyOptions } from "./lib/adapters/property.ts";
