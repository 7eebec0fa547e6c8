import http from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

/*
 * Serves the function of the example that is the argument, as the API Gateway of AWS does: it turns requests into events of version 2.0, and what
 * the function resolves to into responses.
 */

interface Answer {
  statusCode: number;
  headers: Record<string, string>;
  cookies?: string[];
  body: string;
  isBase64Encoded: boolean;
}

interface Functions {
  handler(event: object, context: object): Promise<Answer>;
  cleanUp(): Promise<number>;
  migrate(): Promise<void>;
}

const file = pathToFileURL(join(process.cwd(), process.argv[2] ?? "")).href;
const { handler, cleanUp, migrate } = (await import(file)) as Functions;
await migrate();

async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url ?? "", "http://gateway");
  const { cookie, ...headers } = request.headers;
  const body = await buffer(request);
  const {
    statusCode,
    headers: answered,
    cookies,
    body: text,
    isBase64Encoded,
  } = await handler(
    {
      version: "2.0",
      routeKey: "$default",
      rawPath: pathname,
      rawQueryString: search.slice(1),
      ...(cookie === undefined ? {} : { cookies: cookie.split("; ") }),
      headers: { ...headers, "x-forwarded-proto": "http", "x-forwarded-for": "192.0.2.1" },
      requestContext: { http: { method: request.method, path: pathname, sourceIp: "192.0.2.1" }, stage: "$default" },
      ...(body.length === 0 ? {} : { body: body.toString("base64") }),
      isBase64Encoded: true,
    },
    {},
  );
  response.writeHead(statusCode, { ...answered, "set-cookie": cookies ?? [] });
  response.end(Buffer.from(text, isBase64Encoded ? "base64" : "utf8"));
}

const server = http.createServer((request, response) => void answer(request, response));
const port = Number(process.env["PORT"]);
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port} is listening`));
process.once("SIGTERM", () => server.close(() => void cleanUp()));
