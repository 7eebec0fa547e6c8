import http from "node:http";
import type { AddressInfo } from "node:net";
import net from "node:net";
import type { NodeListener } from "../../src/lib/adapters/node.ts";

/** A server on loopback that a test has started. */
export interface Served {
  url: string;
  port: number;
  /** Sends a GET that follows no redirect. @param cookie - the Cookie header */
  get(path: string, cookie?: string): Promise<Response>;
  /** Sends raw bytes and resolves to the answer when the server closes the connection. */
  raw(request: string): Promise<string>;
  close(): Promise<void>;
}

/** Serves a listener on a free port of loopback. */
export async function serve(listener: NodeListener): Promise<Served> {
  const server = http.createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    get: (path, cookie) => fetch(url + path, { redirect: "manual", headers: cookie === undefined ? {} : { cookie } }),
    raw: (request) =>
      new Promise((resolve, reject) => {
        const socket = net.connect(port, "127.0.0.1", () => socket.write(request));
        let answer = "";
        socket.setEncoding("latin1");
        socket.on("data", (chunk: string) => (answer += chunk));
        socket.on("error", reject);
        socket.on("close", () => resolve(answer));
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The `name=value` of a response's only Set-Cookie. Undefined without one. */
export function cookieOf(response: Response): string | undefined {
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 1) throw new Error(`${cookies.length} Set-Cookie headers`);
  return cookies[0]?.split(";")[0];
}

/** Runs work with a server and closes it, even if the work throws. */
export async function serving<T>(listener: NodeListener, work: (served: Served) => Promise<T>): Promise<T> {
  const served = await serve(listener);
  try {
    return await work(served);
  } finally {
    await served.close();
  }
}
