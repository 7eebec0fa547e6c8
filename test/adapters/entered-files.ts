import { once } from "node:events";
import { createServer } from "node:http";
import { Session as Inspector } from "node:inspector/promises";
import { type AddressInfo, connect, type Socket } from "node:net";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { PgStore, SessionManager } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";

/*
 * Prints, as JSON, the files of src/lib in which a function runs during one request, for a GET that only reads and for a
 * login. V8 counts the calls. Both go over a connection that has served such requests before, as most do. A timer may fire
 * in between, so the shortest of some lists counts.
 */
const SOURCE = fileURLToPath(new URL("../../src/lib", import.meta.url));
const WARM_UP = 20;
const ROUNDS = 5;

const pool = new pg.Pool({
  connectionString: process.env["APP_DATABASE_URL"],
  max: 1,
  connectionTimeoutMillis: 20_000,
}).on("error", () => {});
const store = new PgStore(pool, { cleanupInterval: 0 });
const sessions = new SessionManager(store);
const server = createServer(
  nodeHandler(sessions, async (request, response) => {
    const session = sessions.sessionOf(request);
    if (request.url === "/login") await session.login("user-1");
    response.end(String(session.get("greeting")));
  }),
);
server.listen(0, "127.0.0.1");
await once(server, "listening");
const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");

const inspector = new Inspector();
inspector.connect();
await inspector.post("Profiler.enable");
await inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });

let cookie = await ask(socket, "/login", "");
for (let round = 0; round < WARM_UP; round++) {
  await ask(socket, "/", cookie);
  cookie = await ask(socket, "/login", cookie);
}
const get = await enteredDuring(() => ask(socket, "/", cookie));
const login = await enteredDuring(async () => (cookie = await ask(socket, "/login", cookie)));
process.stdout.write(JSON.stringify({ get, login }));
socket.destroy();
server.close();
await store.close();
await pool.end();

async function enteredDuring(work: () => Promise<unknown>): Promise<string[]> {
  const lists: string[][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await inspector.post("Profiler.takePreciseCoverage");
    await work();
    const { result } = await inspector.post("Profiler.takePreciseCoverage");
    lists.push(
      result
        .filter(
          ({ url, functions }) =>
            url.startsWith("file:") && functions.some(({ ranges }) => Number(ranges[0]?.count) > 0),
        )
        .map(({ url }) => relative(SOURCE, fileURLToPath(url)).replaceAll("\\", "/"))
        .filter((file) => !file.startsWith("..")),
    );
  }
  const [shortest = []] = lists.toSorted((one, other) => one.length - other.length);
  return shortest.toSorted();
}

/** Sends a request and returns the cookie that it set, or else the one that it sent. */
async function ask(to: Socket, path: string, sent: string): Promise<string> {
  to.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nCookie: ${sent}\r\n\r\n`);
  let answer = "";
  while (!answer.includes("\r\n\r\n")) answer += String((await once(to, "data"))[0]);
  return /set-cookie: ([^;]+)/i.exec(answer)?.[1] ?? sent;
}
