/** An answer as a client parses it. */
export interface Answer {
  status: number;
  /** Names in lower case; values of the same name in order. */
  headers: Map<string, string[]>;
  body: string;
  /** All of it has come, by its own account. */
  isWhole: boolean;
}

/** Parses what a connection has carried, one answer for each request method. Throws where a client would. */
export function parseAnswers(bytes: string, methods: readonly string[], isClosed: boolean): Answer[] {
  const answers: Answer[] = [];
  let rest = bytes;
  for (const method of methods) {
    if (rest === "") break;
    const [answer, length] = parseFinal(rest, method, isClosed);
    answers.push(answer);
    rest = rest.slice(length);
    if (!answer.isWhole) break;
  }
  if (rest !== "" && answers.every(({ isWhole }) => isWhole)) {
    throw new Error(`bytes after the last answer: ${JSON.stringify(rest.slice(0, 60))}`);
  }
  return answers;
}

/** The answer after those of status 1xx. */
function parseFinal(bytes: string, method: string, isClosed: boolean): [Answer, length: number] {
  let start = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n", start);
    if (end < 0) return [{ status: 0, headers: new Map(), body: "", isWhole: false }, bytes.length];
    const [first = "", ...lines] = bytes.slice(start, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) [^\r\n]*$/.exec(first)?.[1] ?? fail(`no status line: ${first}`));
    const headers = headersOf(lines);
    if (status >= 100 && status < 200 && status !== 101) {
      start = end + 4;
      continue;
    }
    const [body, length, isWhole] = bodyOf(bytes.slice(end + 4), status, method, headers, isClosed);
    return [{ status, headers, body, isWhole }, end + 4 + length];
  }
}

function headersOf(lines: string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const [, name = fail(`no header: ${line}`), value = ""] = /^([\w-]+): (.*)$/.exec(line) ?? [];
    headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value]);
  }
  return headers;
}

function bodyOf(
  bytes: string,
  status: number,
  method: string,
  headers: Map<string, string[]>,
  isClosed: boolean,
): [body: string, length: number, isWhole: boolean] {
  const lengths = headers.get("content-length");
  const isChunked = headers.has("transfer-encoding");
  if (isChunked && lengths !== undefined) fail("Content-Length beside Transfer-Encoding");
  if (lengths !== undefined && lengths.length > 1) fail("two lengths");
  if (method === "HEAD" || status === 204 || status === 304) return ["", 0, true];
  if (isChunked) return chunksOf(bytes);
  if (lengths === undefined) return [bytes, bytes.length, isClosed];
  const length = Number(lengths[0]);
  return [bytes.slice(0, length), Math.min(length, bytes.length), bytes.length >= length];
}

function chunksOf(bytes: string): [body: string, length: number, isWhole: boolean] {
  let body = "";
  for (let at = 0; ;) {
    const size = /^([\da-f]+)\r\n/i.exec(bytes.slice(at, at + 12));
    if (size === null) return [body, bytes.length, false];
    at += size[0].length;
    const length = Number.parseInt(size[1] ?? "", 16);
    if (length === 0) {
      const end = bytes.indexOf("\r\n", at);
      if (end === at) return [body, at + 2, true];
      const trailers = bytes.indexOf("\r\n\r\n", at);
      return trailers < 0 ? [body, bytes.length, false] : [body, trailers + 4, true];
    }
    body += bytes.slice(at, at + length);
    at += length;
    if (at >= bytes.length) return [body, bytes.length, false];
    if (bytes.slice(at, at + 2) !== "\r\n") fail("a chunk is longer than it says");
    at += 2;
  }
}

function fail(reason: string): never {
  throw new Error(reason);
}
