import http from "node:http";
import type { AddressInfo } from "node:net";

interface Stored {
  /** The headers of the answered request that Vary names. */
  selecting: [name: string, value: string | undefined][];
  status: number;
  headers: [name: string, value: string][];
  body: Buffer;
}

/**
 * A careless shared cache. It keeps everything that RFC 9111 allows, Set-Cookie included, and serves it to the next
 * client. Only the response's own headers protect users from one another.
 */
export async function startCachingProxy(origin: string) {
  const cache = new Map<string, Stored[]>();
  const seen = { hits: 0, misses: 0 };
  const server = http.createServer((request, response) => void answer(request, response));

  async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const path = request.url ?? "/";
    const valueOf = (name: string): string | undefined => request.headers[name.toLowerCase()]?.toString();
    const fits = ({ selecting }: Stored): boolean => selecting.every(([name, value]) => valueOf(name) === value);
    let stored = cache.get(path)?.find(fits);
    if (stored === undefined) {
      seen.misses++;
      stored = await ask(path, valueOf);
      if (isStorable(stored)) cache.set(path, [...(cache.get(path) ?? []), stored]);
    } else {
      seen.hits++;
    }
    response.writeHead(stored.status, stored.headers.flat()).end(stored.body);
  }

  async function ask(path: string, valueOf: (name: string) => string | undefined): Promise<Stored> {
    const cookie = valueOf("cookie");
    const answer = await fetch(origin + path, { redirect: "manual", headers: cookie === undefined ? {} : { cookie } });
    const body = Buffer.from(await answer.arrayBuffer());
    const vary = (answer.headers.get("vary") ?? "").split(",").map((name) => name.trim());
    const selecting = vary
      .filter((name) => name !== "")
      .map((name) => [name, valueOf(name)] as [string, string | undefined]);
    const headers = [...answer.headers].filter(
      ([name]) => !/^(?:content-length|transfer-encoding|connection)$/.test(name),
    );
    return { selecting, status: answer.status, headers, body };
  }

  function isStorable({ status, headers, selecting }: Stored): boolean {
    const control = headers.find(([name]) => name === "cache-control")?.[1] ?? "";
    if (status !== 200 || selecting.some(([name]) => name === "*")) return false;
    return /max-age=[1-9]/.test(control) && !/no-store|private|no-cache/.test(control);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close };
}
