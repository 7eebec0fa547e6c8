export { action, getSession, type ProxyAnswer, sessionProxy } from "./lib/adapters/next.ts";
