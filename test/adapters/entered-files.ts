import { createHook } from "node:async_hooks";
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
 *
 * Prints also how many promises src/lib makes for a GET, alone and as one of many that come together.
 */
const SOURCE = fileURLToPath(new URL("../../src/lib", import.meta.url));
const WARM_UP = 20;
const ROUNDS = 5;
const TOGETHER = 50;

const pool = new pg.Pool({
  connectionString: process.env["APP_DATABASE_URL"],
  max: 1,
  connectionTimeoutMillis: 20_000,
}).on("error", () => {});
const store = new PgStore(pool, { cleanupInterval: 0 });
const sessions = new SessionManager(store);
const server = createServer(
  nodeHandler(sessions, (request, response) => {
    const session = sessions.sessionOf(request);
    const answer = () => void response.end(String(session.get("greeting")));
    return request.url === "/login" ? session.login("user-1").then(answer) : answer();
  }),
);
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
const socket = connect(port, "127.0.0.1");

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
await inspector.post("Profiler.stopPreciseCoverage");

const others = Array.from({ length: TOGETHER }, () => connect(port, "127.0.0.1"));
const together = (): Promise<unknown> => Promise.all(others.map((other) => ask(other, "/", cookie)));
await together();
const alone = await promisesDuring(() => ask(socket, "/", cookie));
const shared = (await promisesDuring(together)) / TOGETHER;
process.stdout.write(JSON.stringify({ get, login, promises: { alone, shared } }));
for (const each of [socket, ...others]) each.destroy();
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

/** Counts the promises that src/lib makes, and those that `await` makes there. The smallest of some counts is free of timers. */
async function promisesDuring(work: () => Promise<unknown>): Promise<number> {
  const counts: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let count = 0;
    const hook = createHook({
      init(_id, type) {
        if (type === "PROMISE" && makerOf(new Error("the stack")).includes(SOURCE)) count++;
      },
    }).enable();
    await work();
    hook.disable();
    counts.push(count);
  }
  return Math.min(...counts);
}

/** Returns the first line of a stack that leads into a file, after the hook's own. */
function makerOf({ stack = "" }: Error): string {
  const [, ...lines] = stack.split("\n").filter((line) => /[(/]\S+\.ts:/.test(line));
  return lines[0] ?? "";
}

/** Sends a request and returns the cookie that it set, or else the one that it sent. */
async function ask(to: Socket, path: string, sent: string): Promise<string> {
  to.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nCookie: ${sent}\r\n\r\n`);
  let answer = "";
  while (!answer.includes("\r\n\r\n")) answer += String((await once(to, "data"))[0]);
  return /set-cookie: ([^;]+)/i.exec(answer)?.[1] ?? sent;
}
