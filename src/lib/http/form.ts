/**
 * Reads the form of a request, which can be read again afterwards.
 *
 * @returns undefined when it can't be read; "too large" when it has more than `maxBytes`, of which not much more is read then
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

/** Reads a body; undefined when it is longer. */
export async function readBytes(
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
      // Not awaited: a copy of a body is cancelled only with the body itself.
      reader?.cancel().catch(() => {});
      return undefined;
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
