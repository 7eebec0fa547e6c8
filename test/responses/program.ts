import fc from "fast-check";

/**
 * Random programs over the whole API of a response, as data: so that one program can run twice, shrink, and be printed as
 * code.
 */
export interface Program {
  method: "GET" | "HEAD" | "POST";
  version: "1.0" | "1.1" | "2";
  /** The request's Connection header. */
  connection: "keep-alive" | "close" | "default";
  /** Which of two pipelined requests the program answers. */
  position: "only" | "first" | "second";
  session: SessionUse;
  adapter: "connect" | "nodeHandler";
  /**
   * "stalled": the client reads nothing before `release()`, so that on both responses the bytes wait for the same instant,
   * and everything can be compared at each step. "open": what a plain response sends leaves at once, and a step that waits
   * releases the store first.
   */
  network: "stalled" | "open";
  /** An "error" listener is attached. */
  listens: boolean;
  /** Wrappers that are installed before the session's middleware, and after it. */
  outer: WrapperName[];
  inner: WrapperName[];
  steps: Step[];
}

/** What is done with the session before the response is: stored in a new row, in the present one, read, or not used. */
export type SessionUse = "new" | "changed" | "read" | "unused";

export const WRAPPERS = ["onHeaders", "compress", "compressLater", "endLater", "watchEnd"] as const;
export type WrapperName = (typeof WRAPPERS)[number];

export type Step =
  | { op: "call"; name: string; args: Arg[] }
  | { op: "set"; name: string; value: unknown }
  | { op: "pipe"; sizes: number[]; end: boolean }
  | { op: "wait"; how: "nextTick" | "promise" | "immediate" | "drain" }
  | { op: "release" | "stall" | "resume" | "turn" | "reset" | "halfClose" | "throw" };

/** An argument of a call: itself, or something that is made for each run. */
export type Arg =
  | { kind: "value"; value: unknown }
  | { kind: "text"; unit: string; times: number }
  | { kind: "bytes"; unit: string; times: number; buffer: boolean }
  | { kind: "callback" }
  | { kind: "headers"; value: [string, unknown][] };

const value = (given: unknown): Arg => ({ kind: "value", value: given });

const oneOf = <T>(...weighted: [weight: number, value: T][]): fc.Arbitrary<T> =>
  fc.oneof(...weighted.map(([weight, one]) => ({ weight, arbitrary: fc.constant(one) })));

// High-water mark 16 KiB: the sizes stay clear of sums that come near it, as session headers make a head longer.
const text = fc.record({
  kind: fc.constant("text" as const),
  unit: oneOf([4, "a"], [1, "é"], [1, "☃"], [1, "0f"]),
  times: oneOf([6, 1], [4, 3], [1, 0], [1, 5000], [1, 20_000]),
});
const bytes = fc.record({
  kind: fc.constant("bytes" as const),
  unit: fc.constantFrom("b", "\u00ff"),
  times: oneOf([6, 1], [4, 3], [1, 0], [1, 5000], [1, 20_000]),
  buffer: fc.boolean(),
});
const badChunk = fc.constantFrom<unknown>(null, undefined, 7, true, {}, []).map(value);
const chunk: fc.Arbitrary<Arg> = fc.oneof(
  { weight: 8, arbitrary: text },
  { weight: 4, arbitrary: bytes },
  { weight: 1, arbitrary: badChunk },
);
const encoding = oneOf<unknown>(
  [4, "utf8"],
  [2, "latin1"],
  [2, "hex"],
  [1, "base64"],
  [1, "utf16le"],
  [1, undefined],
).map(value);
const callback: fc.Arbitrary<Arg> = fc.constant({ kind: "callback" });

const tupleOf = (...args: fc.Arbitrary<Arg>[]): fc.Arbitrary<Arg[]> => fc.tuple(...args);
const call = (name: string, ...shapes: fc.Arbitrary<Arg[]>[]): fc.Arbitrary<Step> =>
  fc.record({ op: fc.constant("call" as const), name: fc.constant(name), args: fc.oneof(...shapes) });

const status = oneOf<unknown>(
  [8, 200],
  [2, 404],
  [2, 204],
  [2, 304],
  [1, 500],
  [1, "201"],
  [1, 99],
  [1, 1000],
  [1, "abc"],
  [1, 102],
);
const headerName = oneOf(
  [6, "X-A"],
  [4, "x-b"],
  [3, "Content-Type"],
  [3, "Content-Length"],
  [2, "Cache-Control"],
  [1, "Vary"],
  [2, "Set-Cookie"],
  [1, "ETag"],
  [1, "Connection"],
  [1, "Transfer-Encoding"],
  [1, "Trailer"],
  [1, "Date"],
  [1, "Content-Encoding"],
  [1, "Keep-Alive"],
  [1, "CDN-Cache-Control"],
  [1, "bad name"],
);
/** A name with a value that mostly fits it. */
const header: fc.Arbitrary<[string, unknown]> = headerName.chain((name) => {
  const fitting: Record<string, unknown[]> = {
    "Content-Length": [0, 1, 3, "4", 5000],
    Connection: ["close", "keep-alive"],
    "Transfer-Encoding": ["chunked", "identity"],
    Trailer: ["X-T"],
    "Cache-Control": ["public, max-age=60", "no-cache"],
    "CDN-Cache-Control": ["max-age=60"],
    "Set-Cookie": ["a=1", ["a=1", "b=2"]],
    Vary: ["Accept", "*"],
    Date: ["Thu, 01 Jan 1970 00:00:00 GMT"],
    "Content-Encoding": ["identity"],
  };
  const others: unknown[] = ["one", "two", 3, ["x", "y"], "é", "☃", "a\nb", undefined, []];
  return fc.tuple(
    fc.constant(name),
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...(fitting[name] ?? ["one", "two"])) },
      { weight: 1, arbitrary: fc.constantFrom(...others) },
    ),
  );
});
const headers = fc.array(header, { maxLength: 3 });
const headersObject: fc.Arbitrary<Arg> = headers.map((list) => ({ kind: "headers", value: list }));
const headersFlat: fc.Arbitrary<Arg> = headers.map((list) => value(list.flat(1)));
const headersPairs: fc.Arbitrary<Arg> = headers.map((list) => value(list));
const reason = oneOf<unknown>([6, "Fine"], [1, ""], [1, "bad\nreason"]).map(value);
const statusArg = status.map(value);
const one = (arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<Arg> => arbitrary.map(value);

const writeShapes = [
  tupleOf(chunk),
  tupleOf(chunk, encoding),
  tupleOf(chunk, callback),
  tupleOf(chunk, encoding, callback),
];
const write = call("write", ...writeShapes);
const end = call("end", tupleOf(), tupleOf(callback), ...writeShapes);
const writeHead = call(
  "writeHead",
  tupleOf(statusArg),
  tupleOf(statusArg, reason),
  tupleOf(statusArg, headersObject),
  tupleOf(statusArg, headersFlat),
  tupleOf(statusArg, headersPairs),
  tupleOf(statusArg, reason, headersObject),
);
const setHeader = fc.record({
  op: fc.constant("call" as const),
  name: oneOf([4, "setHeader"], [1, "appendHeader"]),
  args: header.map(([name, given]) => [value(name), value(given)]),
});
const readHeader = fc.record({
  op: fc.constant("call" as const),
  name: oneOf([2, "removeHeader"], [1, "getHeader"], [1, "hasHeader"]),
  args: headerName.map((name) => [value(name)]),
});
const rare = fc.oneof(
  call("getHeaders", tupleOf()),
  call("getHeaderNames", tupleOf()),
  call("setHeaders", tupleOf(headersObject), tupleOf(one(fc.constantFrom<unknown>(new Map([["x-m", "1"]]), 7)))),
  call(
    "addTrailers",
    tupleOf(one(fc.constantFrom<unknown>({ "X-T": "1" }, [["X-T", "1"]], { "bad name": "1" }, { "X-T": "a\nb" }, {}))),
  ),
  call("writeContinue", tupleOf(), tupleOf(callback)),
  call("writeProcessing", tupleOf(), tupleOf(callback)),
  call(
    "writeEarlyHints",
    tupleOf(one(fc.constantFrom<unknown>({ link: "</a.css>; rel=preload" }, {}, { link: "bad" }))),
    tupleOf(one(fc.constant({ link: "</a.css>; rel=preload" })), callback),
  ),
  call("setTimeout", tupleOf(one(fc.constant(60_000)))),
  call("destroy", tupleOf()),
  call("destroy", tupleOf(one(fc.constant("error")))),
  call("assignNothing", tupleOf()),
);
const assign: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant("set" as const), name: fc.constant("statusCode"), value: status }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("set" as const),
      name: fc.constant("statusMessage"),
      value: fc.constantFrom<unknown>("Well", "", undefined, "bad\nmessage"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("set" as const),
      name: fc.constantFrom("sendDate", "strictContentLength", "shouldKeepAlive"),
      value: fc.boolean(),
    }),
  },
);
const control = (op: "release" | "stall" | "resume" | "turn" | "reset" | "halfClose" | "throw"): Step => ({
  op,
});
const pipe = fc.record({
  op: fc.constant("pipe" as const),
  sizes: fc.array(oneOf([3, 3], [2, 5000], [1, 20_000]), { maxLength: 4 }),
  end: oneOf([4, true], [1, false]),
});
const wait = fc.record({
  op: fc.constant("wait" as const),
  how: fc.constantFrom("nextTick" as const, "promise" as const, "immediate" as const, "drain" as const),
});
const cork = oneOf([1, "cork"], [1, "uncork"]).map((name): Step => ({ op: "call", name, args: [] }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: write },
  { weight: 8, arbitrary: end },
  { weight: 5, arbitrary: writeHead },
  { weight: 6, arbitrary: setHeader },
  { weight: 2, arbitrary: readHeader },
  { weight: 3, arbitrary: rare },
  { weight: 2, arbitrary: call("flushHeaders", tupleOf()) },
  { weight: 3, arbitrary: assign },
  { weight: 2, arbitrary: cork },
  { weight: 5, arbitrary: wait },
  { weight: 2, arbitrary: pipe },
  {
    weight: 5,
    arbitrary: oneOf(
      [6, control("release")],
      [1, control("stall")],
      [1, control("resume")],
      [2, control("turn")],
      [1, control("reset")],
      [1, control("halfClose")],
      [2, control("throw")],
    ),
  },
);

const wrappers = fc.oneof(
  { weight: 5, arbitrary: fc.constant<WrapperName[]>([]) },
  { weight: 3, arbitrary: fc.array(fc.constantFrom(...WRAPPERS), { minLength: 1, maxLength: 2 }) },
);

/** Programs for HTTP/1. */
export const programs: fc.Arbitrary<Program> = fc
  .record({
    method: oneOf<Program["method"]>([6, "GET"], [1, "HEAD"], [1, "POST"]),
    version: oneOf<Program["version"]>([6, "1.1"], [1, "1.0"]),
    connection: oneOf<Program["connection"]>([4, "default"], [1, "close"], [1, "keep-alive"]),
    position: oneOf<Program["position"]>([5, "only"], [1, "first"], [1, "second"]),
    session: oneOf<SessionUse>([6, "new"], [2, "changed"], [1, "read"], [1, "unused"]),
    adapter: oneOf<Program["adapter"]>([1, "connect"], [1, "nodeHandler"]),
    network: oneOf<Program["network"]>([2, "stalled"], [1, "open"]),
    listens: oneOf([5, true], [1, false]),
    outer: wrappers,
    inner: wrappers,
    steps: fc.array(step, { minLength: 1, maxLength: 10 }),
  })
  .map((program) => {
    // What a plain response has written before it is destroyed reaches the client, unless that reads nothing.
    const destroys = program.steps.some((one) => one.op === "throw" || (one.op === "call" && one.name === "destroy"));
    return {
      ...program,
      ...(destroys ? { network: "open" as const, outer: prompt(program.outer), inner: prompt(program.inner) } : {}),
      // After a request that closes the connection no other may follow.
      ...(program.position === "first" ? { version: "1.1" as const, connection: "keep-alive" as const } : {}),
    };
  })
  .map(readable);

/** Programs for HTTP/2's compatibility API. */
export const programs2: fc.Arbitrary<Program> = programs.map((program) => ({
  ...program,
  // A stream without a body has closed before a wrapper's end that comes late, or has not.
  outer: prompt(program.outer),
  inner: prompt(program.inner),
  version: "2",
  connection: "default",
  position: "only",
  network: "open",
  session: program.session === "changed" ? "new" : program.session,
  steps: patient(untilDestroyed(program.steps.flatMap(forHttp2))),
}));

/** Whether it may say a length of its answer that is not the right one. */
export function mayMisstateLength({ steps }: Pick<Program, "steps">): boolean {
  return JSON.stringify(steps).includes("Content-Length");
}

/** A client resets a stream whose length is wrong as soon as it notices, so none is said. */
function patient(steps: Step[]): Step[] {
  return steps.filter((one) => !mayMisstateLength({ steps: [one] }));
}

/**
 * Leaves out what Node itself makes a mess of, or what depends on time alone: hints behind the head, which no client can read, or on
 * a network that stands still, and corks behind an end, across turns or on a network that is open, which keep what a plain
 * response has sent by then.
 */
export function readable(program: Program): Program {
  const isHint = /^(?:writeContinue|writeProcessing|writeEarlyHints)$/;
  const isCork = /^(?:un)?cork$/;
  const isLate =
    program.steps.some(({ op }) => op !== "call" && op !== "set") ||
    [...program.outer, ...program.inner].some((name) => name.endsWith("Later"));
  let mayHint = program.position !== "second" && program.network === "open";
  let mayCork = !isLate && program.network === "stalled";
  const mayFail = !isLate && !program.steps.some((one) => one.op === "call" && isCork.test(one.name));
  const steps = program.steps.filter((one) => {
    if (one.op !== "call") return true;
    if (isHint.test(one.name)) return mayHint;
    if (isCork.test(one.name)) return mayCork;
    // An end that throws leaves the socket corked.
    if (one.name === "end" && !mayFail && isNoChunk(one.args[0])) return false;
    if (/^(?:write|end|flushHeaders|writeHead)$/.test(one.name)) mayHint = false;
    if (one.name === "end") mayCork = false;
    return true;
  });
  return { ...program, steps: program.network === "open" ? steps.map(withoutEmptyPieces) : steps };
}

/** An end behind an empty piece says "finish" at once when a plain response has sent all before, and behind the piece otherwise. */
function withoutEmptyPieces(one: Step): Step {
  if (one.op !== "call") return one;
  const isEmpty = (arg: Arg): boolean => (arg.kind === "text" || arg.kind === "bytes") && arg.times === 0;
  return { ...one, args: one.args.map((arg) => (isEmpty(arg) ? { ...arg, times: 1 } : arg)) };
}

function isNoChunk(arg: Arg | undefined): boolean {
  return arg?.kind === "value" && arg.value !== null && !/^(?:string|undefined)$/.test(typeof arg.value);
}

/** Leaves out what of one's own answer no client can read: a text in an encoding that it is not in. */
export function inUtf8(program: Program): Program {
  const isEncoding = (arg: Arg): boolean =>
    arg.kind === "value" && /^(?:latin1|hex|base64|utf16le)$/.test(String(arg.value));
  const steps = program.steps.map((one) =>
    one.op === "call" ? { ...one, args: one.args.map((arg) => (isEncoding(arg) ? value("utf8") : arg)) } : one,
  );
  return { ...program, steps };
}

function forHttp2(one: Step): Step[] {
  if (/^(?:stall|resume|turn|halfClose)$/.test(one.op)) return [];
  if (one.op === "set") return one.name === "statusMessage" ? [] : [one];
  if (one.op !== "call") return [one];
  // With an empty piece among others, or more than one encoding, Node sends what was in memory. An odd number of hex digits ends it.
  const isLeftOut = (arg: Arg): boolean =>
    arg.kind === "value" && /^(?:utf8|latin1|hex|base64|utf16le|Fine)$/.test(String(arg.value));
  return [withoutEmptyPieces({ ...one, args: one.args.filter((arg) => !isLeftOut(arg)) })];
}

/** A write after the end destroys a stream of HTTP/2; what its methods say from then on is left out. */
function untilDestroyed(steps: Step[]): Step[] {
  const isOf = (names: RegExp) => (one: Step) => one.op === "call" && names.test(one.name);
  const end = steps.findIndex(isOf(/^end$/));
  const destroy = steps.findIndex((one, index) => {
    if (isOf(/^destroy$/)(one)) return true;
    return end >= 0 && index > end && (one.op === "pipe" || isOf(/^(?:write|end)$/)(one));
  });
  return destroy < 0 ? steps : steps.slice(0, destroy + 1);
}

/** What a wrapper still has when its response is destroyed comes before or after the end of it. */
function prompt(wrappers: WrapperName[]): WrapperName[] {
  return wrappers.filter((name) => name === "onHeaders" || name === "watchEnd");
}

/** Prints a program as code. */
export function print(program: Program): string {
  const { method, version, connection, position, session, adapter, network, listens, outer, inner, steps } = program;
  return [
    `// ${method} HTTP/${version}, Connection: ${connection}, ${position} of the pipeline, session: ${session}, ${adapter}, ` +
      `network: ${network}${listens ? "" : ", no error listener"}`,
    ...outer.map((name) => `${name}(response); // outside the session`),
    ...inner.map((name) => `${name}(response); // inside`),
    ...steps.map((one, index) => `${printStep(one, index)};`),
  ].join("\n");
}

export function printStep(one: Step, index: number): string {
  switch (one.op) {
    case "call":
      return `response.${one.name}(${one.args.map((arg) => printArg(arg, index)).join(", ")})`;
    case "set":
      return `response.${one.name} = ${show(one.value)}`;
    case "pipe":
      return `Readable.from([${one.sizes.map((size) => `"p".repeat(${size})`).join(", ")}]).pipe(response, { end: ${one.end} })`;
    case "wait":
      return `await ${one.how}()`;
    case "throw":
      return "throw new Error()";
    case "release":
      return "await release()";
    case "stall":
    case "resume":
    case "turn":
    case "reset":
    case "halfClose":
      return `await ${one.op}()`;
  }
}

function printArg(arg: Arg, index: number): string {
  switch (arg.kind) {
    case "value":
      return show(arg.value);
    case "text":
      return repeated(arg);
    case "bytes":
      return arg.buffer ? `Buffer.from(${repeated(arg)})` : `Uint8Array.from(Buffer.from(${repeated(arg)}))`;
    case "callback":
      return `callback${index}`;
    case "headers":
      return `{ ${arg.value.map(([name, given]) => `${JSON.stringify(name)}: ${show(given)}`).join(", ")} }`;
  }
}

function repeated({ unit, times }: { unit: string; times: number }): string {
  return unit.length * times > 12 ? `${JSON.stringify(unit)}.repeat(${times})` : JSON.stringify(unit.repeat(times));
}

function show(given: unknown): string {
  if (given === undefined) return "undefined";
  if (given instanceof Map) return "new Map([…])";
  return JSON.stringify(given);
}

/** What an argument is in a run. */
export function realize(arg: Arg, callbackOf: () => unknown): unknown {
  switch (arg.kind) {
    case "value":
      // "error" stands for an error that is made for each run.
      return arg.value === "error" ? new Error("given to destroy") : structuredClone(arg.value);
    case "text":
      return arg.unit.repeat(arg.times);
    case "bytes": {
      const buffer = Buffer.from(arg.unit.repeat(arg.times));
      return arg.buffer ? buffer : Uint8Array.from(buffer);
    }
    case "callback":
      return callbackOf();
    case "headers":
      return Object.fromEntries(structuredClone(arg.value));
  }
}
