import { serve } from "srvx";
import { staticMiddleware } from "srvx/static";
import start from "./dist/server/server.js";

const { HOST: hostname = "127.0.0.1", PORT: port = "4000" } = process.env;
const server = serve({
  fetch: start.fetch,
  middleware: [staticMiddleware({ dir: "dist/client" })],
  hostname,
  port,
  silent: true,
  // On SIGINT and SIGTERM, requests under way are finished first.
  gracefulShutdown: true,
});
await server.ready();
console.log(`http://${hostname}:${port} is listening`);
