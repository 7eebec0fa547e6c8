export { session, session as default } from "./lib/adapters/hono.ts";
