import type { Program } from "./program.ts";
import type { Lane, Line } from "./interpreter.ts";
import type { Observation } from "./subjects.ts";

/** Says where two observations of a program differ; undefined when they don't. */
export function difference(program: Program, plain: Observation, held: Observation): string | undefined {
  if (!plain.started || !held.started)
    return `the handler was not called: plain ${plain.started}, held ${held.started}`;
  const [plainBytes, heldBytes] = [withoutSession(plain.bytes), withoutSession(held.bytes)];
  // Of an answer that its own application cuts off, how much has left by then is a matter of time.
  const isCutOff =
    program.version === "2" ? isCut(program) : plain.wasCutOff && held.wasCutOff && plainBytes.startsWith(heldBytes);
  const parts = [
    ...logDifferences(relevant(program, plain.log), relevant(program, held.log)),
    ...(isCutOff
      ? []
      : [
          differenceOf("bytes", lines(plainBytes), lines(heldBytes)),
          differenceOf("cookies", cookiesOf(plain.bytes), cookiesOf(held.bytes)),
        ]),
    differenceOf("connection", [plain.connection], [held.connection]),
    headersMissing(program, held.bytes),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join("\n");
}

function isCut({ steps }: Program): boolean {
  return steps.some((step) => step.op === "throw" || (step.op === "call" && step.name === "destroy"));
}

/** When somebody has cut the connection, what becomes of bytes under way is a matter of time: all that counts is the close. */
function relevant(program: Program, log: Line[]): Line[] {
  const { steps, version, network, outer, inner } = program;
  const cut = isCut(program);
  if (version === "2") {
    const left = cut || steps.some(({ op }) => op === "reset") ? /^event close/ : /^event (?!drain)|^request/;
    return log
      .filter(({ lane, text }) => (lane === "network" ? left.test(text) : !(cut && text.startsWith("callback"))))
      .map((line) => ({ ...line, text: line.text.replace(/, corked \d+/, "") }));
  }
  if (cut || steps.some(({ op }) => op === "reset")) {
    return log
      .filter(({ text }) => !/^(?:callback|event finish|event drain|prefinish|watchEnd: fin|request)/.test(text))
      .map((line) => ({ ...line, text: line.text.replace(/(, destroyed.*), corked \d+/, "$1") }));
  }
  // When an end comes late, a "drain" may have come before.
  if (network === "open" && [...outer, ...inner].some((name) => name.endsWith("Later"))) {
    return log.filter(({ text }) => !text.startsWith("event drain"));
  }
  // When a "drain" comes among callbacks is a matter of the network, once it moves.
  return log.filter(({ isStrict, text }) => isStrict || !text.startsWith("event drain"));
}

/** Where the logs differ before anything moves; undefined when they don't. */
export function strictDifference(program: Program, plain: Observation, held: Observation): string | undefined {
  const strict = (lines: Line[]): string[] =>
    lines.filter(({ isStrict, lane }) => isStrict && isFirm(lane)).map(({ text }) => text);
  return differenceOf("while nothing moves", strict(relevant(program, plain.log)), strict(relevant(program, held.log)));
}

/** Line by line as long as nothing moves; from then on each lane for itself. */
function logDifferences(plain: Line[], held: Line[]): (string | undefined)[] {
  // A crash that the other response is spared is nobody's loss.
  const crashes = (lines: Line[]): string[] => lines.filter(({ lane }) => lane === "crash").map(({ text }) => text);
  const theirs = crashes(plain);
  const more = crashes(held).filter((text) => {
    const at = theirs.indexOf(text);
    if (at >= 0) theirs.splice(at, 1);
    return at < 0;
  });
  const calm = (lines: Line[]): Line[] => lines.filter(({ lane }) => isFirm(lane));
  // Of several errors of that kind the first may be the last, as the response has closed by then.
  const whenever = (lines: Line[]): string[] => [
    ...new Set(
      lines
        .filter(({ lane }) => lane === "whenever")
        .map(({ text }) => text)
        .toSorted(),
    ),
  ];
  const strict = (lines: Line[]): string[] =>
    calm(lines)
      .filter(({ isStrict }) => isStrict)
      .map(({ text }) => text);
  const loose = (lines: Line[], wanted: Lane): string[] =>
    lines.filter(({ lane, isStrict }) => !isStrict && lane === wanted).map(({ text }) => text);
  return [
    differenceOf("while nothing moves", strict(plain), strict(held)),
    differenceOf("steps, once it moves", loose(plain, "program"), loose(held, "program")),
    differenceOf("events, once it moves", loose(plain, "network"), loose(held, "network")),
    // A second answer comes too late for an error when the first one has gone, which takes a plain response as long as its network.
    differenceOf(
      "sooner or later",
      whenever(plain).filter((text) => !text.includes("ERR_STREAM_WRITE_AFTER_END") || whenever(held).includes(text)),
      whenever(held),
    ),
    more.length === 0 ? undefined : `crashes: ${more.join("\n")}`,
  ];
}

/** Whether a line has its place among the others. */
function isFirm(lane: Lane): boolean {
  return lane === "program" || lane === "network";
}

function cookiesOf(bytes: string): string[] {
  return bytes.match(/^Set-Cookie: (?!session=).*$/gim) ?? [];
}

/** The bytes without what differs from run to run, and without the headers that a session adds to. */
export function withoutSession(bytes: string): string {
  return bytes
    .replace(/^Date: (?!Thu, 01 Jan 1970).*\r\n/gm, "Date: now\r\n")
    .replace(/^(?:Set-Cookie|Cache-Control|CDN-Cache-Control|Vary): .*\r\n/gim, "");
}

/** What a session that was stored owes to the client: its cookie, once, and to caches the truth. */
function headersMissing({ session, version, steps }: Program, bytes: string): string | undefined {
  // HTTP/2 sends values that no header may have as they are.
  if (version === "2" && /[^ -~]|\\n/.test(JSON.stringify(steps))) return undefined;
  const head = /HTTP\/1\.1 (?!1\d\d |299 )\d{3} [\s\S]*?\r\n\r\n/.exec(bytes)?.[0];
  if (head === undefined) return undefined;
  const cookies = head.match(/^Set-Cookie: session=/gm)?.length ?? 0;
  const wrong = [
    cookies === (session === "new" ? 1 : 0) || `${cookies} cookies of the session`,
    session !== "new" || /^Cache-Control: [^]*?no-store/im.test(head) || "no Cache-Control: no-store",
    session !== "new" || !/^CDN-Cache-Control:/im.test(head) || "a CDN-Cache-Control beside the cookie",
    session === "unused" || /^Vary: .*(?:Cookie|\*)/im.test(head) || "no Vary: Cookie",
  ].filter((one) => typeof one === "string");
  return wrong.length === 0 ? undefined : `headers of the session: ${wrong.join(", ")}`;
}

function lines(bytes: string): string[] {
  return bytes.split(/(?<=\n)/).map((line) => JSON.stringify(shortened(line)));
}

function shortened(line: string): string {
  return line.length < 200 ? line : `${line.slice(0, 40)}… (${line.length}, sum ${sumOf(line)})`;
}

function sumOf(line: string): number {
  let sum = 0;
  for (let index = 0; index < line.length; index++) sum = (sum * 31 + line.charCodeAt(index)) | 0;
  return sum;
}

function differenceOf(title: string, plain: string[], held: string[]): string | undefined {
  const length = Math.max(plain.length, held.length);
  for (let index = 0; index < length; index++) {
    if (plain[index] !== held[index]) return `${title}:\n${sideBySide(plain, held)}`;
  }
  return undefined;
}

/** Both texts; only where they differ, each with its mark. */
function sideBySide(plain: string[], held: string[]): string {
  let start = 0;
  while (start < plain.length && plain[start] === held[start]) start++;
  let tail = 0;
  while (tail < Math.min(plain.length, held.length) - start && plain.at(-1 - tail) === held.at(-1 - tail)) tail++;
  return [
    ...plain.slice(0, start).map((line) => `           ${line}`),
    ...plain.slice(start, plain.length - tail).map((line) => `  plain  - ${line}`),
    ...held.slice(start, held.length - tail).map((line) => `  held   + ${line}`),
    ...plain.slice(plain.length - tail).map((line) => `           ${line}`),
  ].join("\n");
}
