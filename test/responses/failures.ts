import { type Answer, parseAnswers } from "./answers.ts";
import { strictDifference } from "./compare.ts";
import { mayMisstateLength, type Program } from "./program.ts";
import { type Observation, PAGE, type StoreFate, type Subjects } from "./subjects.ts";
import type { Subjects2 } from "./subjects2.ts";

/** Says what is wrong with how a program's response fares whose session can't be stored; undefined when nothing is. */
export async function whenCommitFails(
  program: Program,
  subjects: Subjects,
  fate: StoreFate,
): Promise<string | undefined> {
  const plain = await subjects.plain(program);
  const held = await subjects.held(program, fate);
  const [status, body] = fate === "fails" ? [500, "Internal Server Error\n"] : [503, PAGE];
  return inContext(held, [
    // As long as the store has not failed, nothing tells that it will.
    strictDifference(program, plain, held),
    ...generalFaults(plain, held),
    answerFault(program, held, isCut(program) || !hasClosed(plain), (answer) => {
      if (answer.status !== status) return `the status is ${answer.status}`;
      if (answer.body !== (program.method === "HEAD" ? "" : body)) return `the body is ${JSON.stringify(answer.body)}`;
      const stale = [...answer.headers].filter(([name, values]) => isStale(name, values.join()));
      if (stale.length > 0) return `headers of the answer that is not sent: ${JSON.stringify(stale)}`;
      return /cookie|\*/i.test(answer.headers.get("vary")?.join() ?? "") ? undefined : "no Vary: Cookie";
    }),
  ]);
}

/** The same on HTTP/2, where a fault of the answer is read from what its client got. */
export async function whenCommitFails2(program: Program, subjects: Subjects2): Promise<string | undefined> {
  const plain = await subjects.plain(program);
  const held = await subjects.held(program, "fails");
  // What the client resets, also for a length that is wrong, and a head that Node refuses.
  const mayBeCut = isCut(program) || mayMisstateLength(program) || !/^HTTP\/1\.1 [2-5]/m.test(plain.bytes);
  const [head = "", ...rest] =
    held.bytes
      .split(/(?=^HTTP\/1\.1 (?!1|trailers))/m)
      .at(-1)
      ?.split("\r\n\r\n") ?? [];
  const isStale = /^(?:etag|content-encoding|cdn-cache-control|set-cookie|trailer):|^cache-control:.*public/im;
  const page = program.method === "HEAD" ? "\r\n" : "Internal Server Error\n\r\n";
  const isAnswer = head.startsWith("HTTP/1.1 500 ") && rest.join("").startsWith(page);
  return inContext(held, [
    ...generalFaults(plain, held),
    isAnswer || mayBeCut ? undefined : "no whole answer",
    isStale.exec(isAnswer ? head : "")?.[0],
  ]);
}

/** The same of a handler of `nodeHandler` that throws or rejects: an error is answered, or the connection is cut. */
export async function whenHandlerThrows(program: Program, subjects: Subjects): Promise<string | undefined> {
  const plain = await subjects.plain(program);
  const held = await subjects.loose(program);
  // What Node's own response sends is not always an answer either.
  const asPlain = answerFault(program, plain, true, () => undefined);
  const fault = asPlain === undefined ? answerFault(program, held, true, () => undefined) : undefined;
  return inContext(held, [...generalFaults(plain, held), fault]);
}

function inContext(held: Observation, faults: (string | undefined)[]): string | undefined {
  const found = faults.filter((fault) => fault !== undefined);
  if (found.length === 0) return undefined;
  const log = held.log.map(({ text }) => `           ${text}`).join("\n");
  return `${found.join("\n")}\n${log}\n${JSON.stringify(held.bytes.slice(0, 2000))}\nthe connection: ${held.connection}`;
}

/** What must never be: a crash that a plain response is spared, a response that never closes. */
function generalFaults(plain: Observation, held: Observation): (string | undefined)[] {
  const crashes = held.log.filter(
    ({ lane, text }) => lane === "crash" && !plain.log.some((line) => line.text === text),
  );
  return [
    held.started ? undefined : "the handler was not called",
    ...crashes.map(({ text }) => text),
    hasClosed(plain) && !hasClosed(held) ? "the response never closes" : undefined,
  ];
}

function hasClosed({ log }: Observation): boolean {
  return log.some(({ text }) => text.startsWith("event close"));
}

/** Somebody cuts the connection before the answer is whole, or may do so. */
function isCut({ steps }: Program): boolean {
  return steps.some(
    (step) => /^(?:reset|halfClose|throw)$/.test(step.op) || (step.op === "call" && step.name === "destroy"),
  );
}

function answerFault(
  program: Program,
  held: Observation,
  mayBeCut: boolean,
  faultOf: (answer: Answer) => string | undefined,
): string | undefined {
  const { position, method } = program;
  const methods = position === "only" ? [method] : position === "first" ? [method, "GET"] : ["GET", method];
  const own = position === "second" ? 1 : 0;
  let answers: Answer[];
  try {
    answers = parseAnswers(held.bytes, methods, held.connection !== "open");
  } catch (error) {
    return `no client can read it: ${(error as Error).message}`;
  }
  const answer = answers[own];
  if (answer === undefined || !answer.isWhole) return mayBeCut ? undefined : "no whole answer";
  const fault = faultOf(answer);
  if (fault !== undefined || mayBeCut || position !== "first") return fault;
  const isLast = /close/i.test(answer.headers.get("connection")?.join() ?? "");
  return isLast || answers[1]?.body === "other" ? undefined : "the next answer of the connection is missing";
}

/** What the program's headers say of a body that is not sent. */
function isStale(name: string, value: string): boolean {
  if (/^(?:etag|content-encoding|cdn-cache-control|set-cookie|trailer)$/.test(name)) return true;
  return name === "cache-control" && /public/.test(value);
}
