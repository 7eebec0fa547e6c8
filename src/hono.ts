export { session, session as default } from "./lib/http/hono.ts";
