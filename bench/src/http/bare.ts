import http from "node:http";
import type { App } from "./app.ts";
import { listen, sendText } from "./wire.ts";

/** No session: what node:http itself can do. */
export const BARE_TEXT = "no session".padEnd(100, "x");

export const bare: App = () => listen(http.createServer((_, response) => sendText(response, BARE_TEXT)));
