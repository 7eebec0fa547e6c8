import { createHash } from "node:crypto";
import http, { type IncomingHttpHeaders, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";

/** What a client makes of an answer. */
export interface Received {
  status: number;
  headers: IncomingHttpHeaders;
  /** The body, decoded as the head says; undefined when that is not what it is, or when it was cut. */
  text: string | undefined;
  /** What went wrong. */
  fault: string | undefined;
}

const DECODERS: Record<string, (bytes: Buffer) => Buffer> = {
  identity: (bytes) => bytes,
  gzip: (bytes) => gunzipSync(bytes),
  deflate: (bytes) => inflateSync(bytes),
  br: (bytes) => brotliDecompressSync(bytes),
};

export interface Ask {
  headers?: Record<string, string>;
  /** Called once, when the first bytes of the body have come. */
  onFirstBytes?: () => void;
}

/** Asks a server on loopback, as a browser that understands gzip. Never rejects. */
export function ask(port: number, path: string, { headers = {}, onFirstBytes }: Ask = {}): Promise<Received> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => {
      resolve({ status: 0, headers: {}, text: undefined, fault: error.message });
    };
    const options = { port, host: "127.0.0.1", path, agent: false, headers: { "accept-encoding": "gzip", ...headers } };
    const request = http.get(options, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => {
        if (parts.push(part) === 1) onFirstBytes?.();
      });
      answer.on("error", () => {});
      answer.on("close", () => {
        const { statusCode: status = 0, headers, complete } = answer;
        if (!complete) {
          resolve({ status, headers, text: undefined, fault: "it was cut off" });
          return;
        }
        try {
          const decode = DECODERS[headers["content-encoding"] ?? "identity"];
          const bytes = Buffer.concat(parts);
          if (decode === undefined) throw new Error(`an unknown encoding: ${headers["content-encoding"]}`);
          resolve({ status, headers, text: bytes.length === 0 ? "" : decode(bytes).toString(), fault: undefined });
        } catch (error) {
          resolve({ status, headers, text: undefined, fault: (error as Error).message });
        }
      });
    });
    request.setTimeout(5000, () => request.destroy(new Error("no answer")));
    request.on("error", failed);
  });
}

/** A short form of a long text. */
export function digest(text: string | undefined): string | undefined {
  if (text === undefined || text.length < 200) return text;
  return `${text.length} characters, ${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
}

/** Serves on a free port of loopback while `work` runs. */
export async function onPort<T>(listener: RequestListener, work: (port: number) => Promise<T>): Promise<T> {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
