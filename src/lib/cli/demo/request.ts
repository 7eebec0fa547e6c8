import type { IncomingMessage } from "node:http";

/** Bytes: more than any of our forms needs. */
const LARGEST_BODY = 10 * 1024;

/** The path of a request, without the query. */
export function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] ?? "/";
}

/** Reads a posted form; undefined when it is too large. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early must not close the connection, which still has to carry the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > LARGEST_BODY) return undefined;
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
