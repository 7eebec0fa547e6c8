import { Buffer } from "node:buffer";

/**
 * Reads the form of a request and leaves its body readable.
 *
 * @returns undefined when the body can't be read as a form; "too large" when it exceeds `maxBytes`, after which reading stops
 */
export async function readForm(request: Request, maxBytes: number): Promise<FormData | "too large" | undefined> {
  const { headers } = request;
  if (Number(headers.get("content-length") ?? 0) > maxBytes) return "too large";
  try {
    const bytes = await readBytes(request.clone().body, maxBytes);
    if (bytes === undefined) return "too large";
    const type = { "Content-Type": headers.get("content-type") ?? "" };
    return await new Response(bytes, { headers: type }).formData();
  } catch {
    return undefined;
  }
}

/** Reads the fields of a form. Returns undefined when it exceeds `maxBytes`, the client has gone, or the body was read before. */
export async function readFields({ body, bodyUsed }: Request, maxBytes: number): Promise<URLSearchParams | undefined> {
  if (bodyUsed) return undefined;
  const bytes = await readBytes(body, maxBytes).catch(() => undefined);
  return bytes && new URLSearchParams(new TextDecoder().decode(bytes));
}

/** Reads a body. Returns undefined when it exceeds `maxBytes`. The bytes are the caller's. */
async function readBytes(
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = body?.getReader();
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {};
    if (done || value === undefined) break;
    size += value.length;
    if (size > maxBytes) {
      // Not awaited, because a clone's cancel resolves only when the original is cancelled too.
      reader?.cancel().catch(() => {});
      return undefined;
    }
    chunks.push(value);
  }
  return Buffer.concat(chunks, size);
}
