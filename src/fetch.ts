export { fetchHandler } from "./lib/adapters/fetch.ts";
