export { fetchHandler } from "./lib/http/fetch.ts";
