/** A request, whoever serves it. */
export interface Ask {
  method: string;
  /** Below the prefix, percent-encoded as it came; begins with a slash. */
  path: string;
  /** The last segment of a URL that names the dashboard without the slash at its end, on which its links build. */
  bare: string | undefined;
  query: URLSearchParams;
  /** @param name - in lower case */
  header(name: string): string | undefined;
  /** The host that was asked for. */
  host: string | undefined;
  isSecure: boolean;
  /** What the form holds. Undefined: it is too large, or somebody has read it already and left nothing. */
  form(): Promise<URLSearchParams | undefined>;
  /** The framework's own. */
  request: object;
}

/** What is answered. */
export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Bytes: more than any of our forms has. */
const LARGEST_FORM = 16 * 1024;

/** Reads a form. Undefined: it is too large, or the client has gone. */
export async function readForm(chunks: AsyncIterable<Uint8Array>): Promise<URLSearchParams | undefined> {
  const decoder = new TextDecoder();
  let [text, size] = ["", 0];
  try {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > LARGEST_FORM) return undefined;
      text += decoder.decode(chunk, { stream: true });
    }
  } catch {
    return undefined;
  }
  return new URLSearchParams(text + decoder.decode());
}

/** What of a path is below the prefix; undefined when it is elsewhere. */
export function below(path: string, prefix: string): string | undefined {
  if (path === prefix) return "/";
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined;
}

/** "/admin/sessions" -> "sessions"; undefined when a slash is at the end. */
export function lastSegment(path: string): string | undefined {
  return path.slice(path.lastIndexOf("/") + 1) || undefined;
}

/** By its shape: a framework may bring a class of its own. */
export function isResponse(value: unknown): value is Response {
  const { status, headers } = (value ?? {}) as Partial<Response>;
  return typeof status === "number" && typeof headers?.getSetCookie === "function";
}
