import http from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";

type Handler = (request: Request) => Promise<Response>;

/** What we ask of the global that Bun has. */
interface Bun {
  serve(options: { port: number; hostname: string; fetch: Handler }): {
    port: number;
    stop(closeActiveConnections: boolean): Promise<void>;
  };
}

/** What we ask of the global that Deno has. */
interface Deno {
  serve(
    options: { port: number; hostname: string; signal: AbortSignal; onListen(): void },
    handler: Handler,
  ): { addr: { port: number }; finished: Promise<void> };
}

/** A server of web-standard requests on a free port of loopback. */
export interface Server {
  port: number;
  close(): Promise<void>;
}

const hostname = "127.0.0.1";

/** Serves with what the runtime has for it. */
export async function serveFetch(handler: Handler): Promise<Server> {
  const { Bun, Deno } = globalThis as { Bun?: Bun; Deno?: Deno };
  if (Bun !== undefined) {
    const server = Bun.serve({ port: 0, hostname, fetch: handler });
    return { port: server.port, close: () => server.stop(true) };
  }
  if (Deno !== undefined) {
    const stopping = new AbortController();
    const server = Deno.serve({ port: 0, hostname, signal: stopping.signal, onListen: () => {} }, handler);
    return {
      port: server.addr.port,
      close: () => {
        stopping.abort();
        return server.finished;
      },
    };
  }
  const listener = getRequestListener(handler);
  const server = http.createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, hostname, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
