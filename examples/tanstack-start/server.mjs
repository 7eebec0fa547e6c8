import { serve } from "srvx";
import { staticMiddleware } from "srvx/static";
import start from "./dist/server/server.js";

const { HOST: hostname = "127.0.0.1", PORT: port = "4000" } = process.env;
// On SIGINT and SIGTERM srvx finishes the requests under way first.
const server = serve({
  fetch: start.fetch,
  middleware: [staticMiddleware({ dir: "dist/client" })],
  hostname,
  port,
  silent: true,
});
await server.ready();
console.log(`http://${hostname}:${port} is listening`);
