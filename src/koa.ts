export { session, session as default } from "./lib/http/koa.ts";
export type { PropertyOptions } from "./lib/http/property.ts";
