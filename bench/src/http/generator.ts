// The process that makes requests and checks every answer.
import { answerQuestions } from "../env/child.ts";
import { BARE_TEXT } from "./bare.ts";
import { Connection } from "./connection.ts";
import { nameOf, type Operation, ROUTES } from "./wire.ts";

export type GeneratorQuestion =
  /** Begins a session for each client. */
  | { kind: "begin"; port: number; clients: number; sessions: boolean }
  | { kind: "run"; port: number; operation: Operation; milliseconds: number };

export interface GeneratorAnswer {
  requests: number;
  requestsPerSecond: number;
  /** Share of a core that this process took. */
  cpu: number;
}

/** What a server has been told by one client, and must answer. */
interface Client {
  requests: Record<Operation, Buffer>;
  expected: string;
  /** How often it was incremented; undefined: the server has no sessions, and always answers the same. */
  count: number | undefined;
}

const clientsOf = new Map<number, Client[]>();

function requestBytes(method: string, path: string, cookie: string): Buffer {
  const body = method === "POST" ? "Content-Length: 0\r\n" : "";
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${cookie}${body}\r\n`);
}

async function begin(port: number, number: number, sessions: boolean): Promise<Client> {
  let cookie = "";
  if (sessions) {
    const connection = await Connection.open(port);
    const { status, head } = await connection.send(requestBytes("POST", `${ROUTES.put}?${number}`, ""));
    connection.close();
    const pair = /\r\nset-cookie: *([^;\r]+)/i.exec(head)?.[1];
    if (status !== 200 || pair === undefined) throw new Error(`no session: ${head}`);
    cookie = `Cookie: ${pair}\r\n`;
  }
  return {
    requests: { get: requestBytes("GET", ROUTES.get, cookie), inc: requestBytes("POST", ROUTES.inc, cookie) },
    expected: sessions ? nameOf(number) : BARE_TEXT,
    count: sessions ? 0 : undefined,
  };
}

/** Requests of one client, one after the other, until the time is over. Returns how many. */
async function work(client: Client, connection: Connection, operation: Operation, end: number): Promise<number> {
  const bytes = client.requests[operation];
  let done = 0;
  while (performance.now() < end) {
    const { status, head, body } = await connection.send(bytes);
    const expected = operation === "inc" && client.count !== undefined ? String(++client.count) : client.expected;
    if (status !== 200 || body !== expected) {
      throw new Error(`wrong answer to ${operation}: ${body} instead of ${expected}; ${head}`);
    }
    done++;
  }
  return done;
}

async function run(port: number, operation: Operation, milliseconds: number): Promise<GeneratorAnswer> {
  const clients = clientsOf.get(port) ?? [];
  const pairs = await Promise.all(clients.map(async (client) => ({ client, connection: await Connection.open(port) })));
  const cpu = process.cpuUsage();
  const start = performance.now();
  const running = pairs.map(({ client, connection }) => work(client, connection, operation, start + milliseconds));
  const counts = await Promise.all(running);
  const elapsed = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  for (const { connection } of pairs) connection.close();
  const requests = counts.reduce((sum, count) => sum + count, 0);
  return { requests, requestsPerSecond: requests / (elapsed / 1000), cpu: (user + system) / 1000 / elapsed };
}

answerQuestions(async (question: GeneratorQuestion) => {
  const { port } = question;
  if (question.kind === "run") return await run(port, question.operation, question.milliseconds);
  const numbers = Array.from({ length: question.clients }, (_, number) => number);
  const clients = await Promise.all(numbers.map((number) => begin(port, number, question.sessions)));
  clientsOf.set(port, clients);
  return clients.length;
});
