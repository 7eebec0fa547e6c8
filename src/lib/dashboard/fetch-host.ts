import { type Answer, type Ask, below, lastSegment, readForm } from "./exchange.ts";

/** A web-standard request as ours. Undefined: it is not below the prefix. */
export function askOfFetch(request: Request, prefix: string): Ask | undefined {
  const url = new URL(request.url);
  const path = below(url.pathname, prefix);
  if (path === undefined) return undefined;
  const { headers } = request;
  return {
    method: request.method,
    path,
    bare: path === "/" ? lastSegment(url.pathname) : undefined,
    query: url.searchParams,
    header: (name) => headers.get(name) ?? undefined,
    host: headers.get("host") ?? url.host,
    isSecure: url.protocol === "https:",
    form: async () => {
      if (request.bodyUsed) return undefined;
      return readForm(request.body ?? noChunks());
    },
    request,
  };
}

/** Our answer as a web-standard one. */
export function toResponse({ status, headers, body }: Answer, method: string): Response {
  return new Response(body === "" || method === "HEAD" ? null : body, { status, headers });
}

async function* noChunks(): AsyncGenerator<Uint8Array> {}
