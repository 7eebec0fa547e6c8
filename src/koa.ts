export { session, session as default } from "./lib/adapters/koa.ts";
export type { PropertyOptions } from "./lib/adapters/property.ts";
