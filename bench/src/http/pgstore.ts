import http from "node:http";
import { MemoryStore, nodeHandler, PgStore, SessionManager, type SessionOptions } from "../pgstore.ts";
import type { App } from "./app.ts";
import { clientOf, listen, nameOf, ROUTES, sendText } from "./wire.ts";

interface Data {
  name: string;
  n: number;
}

/** pgstore on node:http. @param inMemory - what the session costs without a database */
export function pgstore(options: SessionOptions = {}, inMemory = false): App {
  return ({ pool }) => {
    const manager = new SessionManager<Data>(inMemory ? new MemoryStore() : new PgStore(pool()), options);
    const handler = nodeHandler(manager, (request, response) => {
      const session = manager.sessionOf(request);
      const { url = "" } = request;
      if (url === ROUTES.get) {
        sendText(response, session.get("name") ?? "");
      } else if (url === ROUTES.inc) {
        sendText(response, String(session.update("n", (n = 0) => n + 1)));
      } else {
        session.set("name", nameOf(clientOf(url)));
        session.set("n", 0);
        sendText(response, "OK");
      }
    });
    return listen(http.createServer(handler));
  };
}
