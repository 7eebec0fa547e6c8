import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { printStep, type Program, realize, type Step } from "./program.ts";
import { INSTALL } from "./wrappers.ts";

/** What a run can do to the world around its response. */
export interface World {
  /** Lets the store answer and the client read. Resolves when nothing happens any more. */
  release(): Promise<void>;
  /** Whether `release` was called. */
  readonly isReleased: boolean;
  /** The client reads nothing for a while. */
  stall(): void;
  resume(): void;
  /** The other response of the pipeline ends. */
  turn(): void;
  /** The client goes: with a reset, or only its half of the connection. */
  leave(how: "reset" | "halfClose"): void;
  settle(): Promise<void>;
}

/**
 * Where a line of a log belongs: what the program does, what the network's progress causes, what nobody caught, and what
 * happens at once or later, depending on the network.
 */
export type Lane = "program" | "network" | "crash" | "whenever";

export interface Line {
  lane: Lane;
  text: string;
  /** Its place among the lines of other lanes counts. */
  isStrict: boolean;
}

/** Everything that a run shows, in order. Steps begin with their number. */
export class Log {
  readonly lines: Line[] = [];
  /** How often "prefinish" came. When it comes depends on the socket: at once, or when a response has its turn. */
  prefinish = 0;
  /** From now on the network moves: how its progress falls between the program's steps is a matter of time. */
  isStrict: boolean;
  #isOpen = true;

  constructor(isStrict: boolean) {
    this.isStrict = isStrict;
  }

  prefinished(): void {
    if (this.#isOpen) this.prefinish++;
  }

  add(text: string, lane: Lane = "program"): void {
    if (this.#isOpen) this.lines.push({ lane, text, isStrict: this.isStrict });
  }

  close(): void {
    this.#isOpen = false;
  }
}

/** The names of the headers that a session may add or change: they are compared apart. */
const SESSION_HEADERS = new Set(["cache-control", "vary", "cdn-cache-control", "set-cookie"]);

/** Runs a program on a response. Never rejects. */
export class Interpreter {
  readonly #program: Program;
  readonly #response: ServerResponse;
  readonly #world: World;
  readonly #log: Log;

  constructor(program: Program, response: ServerResponse, world: World, log: Log) {
    this.#program = program;
    this.#response = response;
    this.#world = world;
    this.#log = log;
  }

  /** The program has destroyed the response before it had ended. */
  wasCutOff = false;

  /** Listens to the events of request and response, before anything is called. */
  watch(request: IncomingMessage): void {
    const note = (text: string): void => this.#log.add(text);
    this.#response.on("prefinish", () => this.#log.prefinished());
    for (const name of ["finish", "close", "drain"]) {
      this.#response.on(name, () => this.#log.add(`event ${name} ${this.#state("event")}`, "network"));
    }
    this.#response.on("pipe", () => note("event pipe"));
    this.#response.on("unpipe", () => this.#log.add("event unpipe", "whenever"));
    if (this.#program.listens) {
      this.#response.on("error", (error: Error & { code?: string }) =>
        this.#log.add(`event error ${described(error)}`, isOfSecondAnswer(error) ? "whenever" : "program"),
      );
    }
    for (const name of ["close", "aborted"]) {
      request.on(name, () => this.#log.add(`request event ${name}`, "network"));
    }
    request.on("error", (error: Error) => this.#log.add(`request event error ${described(error)}`, "network"));
  }

  install(side: "outer" | "inner"): void {
    for (const name of this.#program[side]) INSTALL[name](this.#response, (text, lane) => this.#log.add(text, lane));
  }

  /** The steps, and what a framework does with what they throw. Synchronous as long as the steps are. Never throws. */
  run(): void | Promise<void> {
    const caught = (error: unknown): void => {
      this.#log.add(`thrown: ${described(error)}`);
      this.#answer();
    };
    try {
      return this.runLoose()?.catch(caught);
    } catch (error) {
      caught(error);
    }
  }

  /** The steps alone: throws, or rejects, as the program does. */
  runLoose(from = 0): Promise<void> | undefined {
    const { steps } = this.#program;
    for (let index = from; index < steps.length; index++) {
      const waiting = this.#perform(steps[index] as Step, index);
      if (waiting !== undefined) return waiting.then(() => this.runLoose(index + 1));
    }
    return undefined;
  }

  /** As the last handler of a framework: a page when that is possible, an end of the connection otherwise. */
  #answer(): void {
    const response = this.#response;
    try {
      if (response.headersSent) response.destroy();
      else {
        response.statusCode = 500;
        response.end("the application failed");
      }
    } catch (error) {
      this.#log.add(`the error page: ${described(error)}`);
      response.destroy();
    }
    this.#noteCutOff();
  }

  #noteCutOff(): void {
    if (this.#response.destroyed && !this.#response.finished) this.wasCutOff = true;
  }

  #perform(step: Step, index: number): Promise<void> | undefined {
    const code = `${index}: ${printStep(step, index)}`;
    switch (step.op) {
      case "call":
        this.#note(code, () => this.#call(step, index));
        return undefined;
      case "set":
        this.#note(code, () => Reflect.set(this.#response, step.name, step.value, this.#response));
        return undefined;
      case "pipe":
        // What comes after an end is an error as long as the response has not closed.
        if (!this.#log.isStrict && this.#response.finished) {
          return this.#world.release().then(() => this.#pipe(step, code));
        }
        this.#pipe(step, code);
        return this.#mustRelease ? this.#world.release() : undefined;
      case "wait":
        return this.#wait(code, step.how);
      case "release":
        return this.#world.release().then(() => this.#note(code));
      case "stall":
      case "resume":
      case "turn":
        return this.#move(step.op, code);
      case "reset":
      case "halfClose":
        return this.#leave(step.op, code);
      case "throw":
        this.#note(code, () => undefined);
        throw new Error("of the program");
    }
  }

  #pipe({ sizes, end }: Step & { op: "pipe" }, code: string): void {
    this.#note(code, () => {
      const source = Readable.from(sizes.map((size) => "p".repeat(size)));
      source.on("error", (error) => this.#log.add(`source error ${described(error)}`));
      source.pipe(this.#response, { end });
    });
  }

  async #later(code: string, act: () => void): Promise<void> {
    if (this.#mustRelease) await this.#world.release();
    else if (!this.#log.isStrict) await this.#world.settle();
    act();
    await this.#world.settle();
    this.#note(code);
  }

  #move(how: "stall" | "resume" | "turn", code: string): Promise<void> {
    return this.#later(code, () => this.#world[how]());
  }

  async #leave(how: "reset" | "halfClose", code: string): Promise<void> {
    // Node ends a connection whose client has ended its half: what had been written by then is a matter of time.
    if (how === "halfClose" && !this.#response.finished) await this.#world.release();
    await this.#later(code, () => this.#world.leave(how));
  }

  /** With an open network a step that waits sees the end of it all, as the store may take its time. */
  get #mustRelease(): boolean {
    return this.#program.network === "open" && !this.#world.isReleased;
  }

  async #wait(code: string, how: (Step & { op: "wait" })["how"]): Promise<void> {
    if (this.#world.isReleased) await this.#world.settle();
    else if (this.#program.network === "open") await this.#world.release();
    else if (how === "nextTick") await new Promise<void>((resolve) => process.nextTick(resolve));
    else if (how === "promise") await Promise.resolve();
    else if (how === "immediate") await new Promise<void>((resolve) => void setImmediate(resolve));
    else if (this.#response.writableNeedDrain) {
      await this.#world.release();
    }
    this.#note(code);
  }

  #call({ name, args }: Step & { op: "call" }, index: number): unknown {
    const method: unknown = Reflect.get(this.#response, name);
    if (typeof method !== "function") return "no such method";
    let calls = 0;
    // Node calls back at once when all has left, and later otherwise.
    const isSecondEnd = name === "end" && this.#response.finished && !this.#log.isStrict;
    const callbackOf = (): unknown => (error?: unknown) => {
      if (isSecondEnd) {
        this.#log.add(`callback${index}: called`, "whenever");
        return;
      }
      const outcome = error ? described(error) : "well";
      this.#log.add(`callback${index}${++calls > 1 ? ` (${calls})` : ""}: ${outcome}`, error ? "program" : "network");
    };
    const given = args.map((arg) => realize(arg, callbackOf));
    const result: unknown = Reflect.apply(method, this.#response, given);
    return /^(?:get|has)Header$/.test(name) && isOfSession(given[0]) ? "something" : result;
  }

  #note(code: string, act?: () => unknown): void {
    let outcome = "";
    try {
      const result = act?.();
      outcome = act === undefined ? "" : ` -> ${this.#shown(result)}`;
    } catch (error) {
      outcome = ` throws ${described(error)}`;
    }
    this.#noteCutOff();
    this.#log.add(`${code}${outcome}\n      ${this.#state(act === undefined ? "settled" : "step")}`);
  }

  #shown(result: unknown): string {
    if (result === this.#response) return "response";
    if (typeof result !== "object" || result === null) return String(result);
    if (Array.isArray(result)) return JSON.stringify(result.filter((name) => !isOfSession(name)));
    if (result instanceof Readable) return "stream";
    const entries = Object.entries(result).filter(([name]) => !isOfSession(name));
    return result.constructor?.name === undefined || result.constructor === Object
      ? JSON.stringify(entries)
      : result.constructor.name;
  }

  /**
   * The properties. What has reached the network is compared where both responses are at the same instant: as long as nothing
   * moves, and when everything has settled.
   */
  #state(at: "step" | "settled" | "event"): string {
    const response = this.#response;
    const { network, session, version } = this.#program;
    const { isReleased } = this.#world;
    const isStill = network === "stalled" && !isReleased;
    const isExact = (isStill || at === "settled") && !response.destroyed && version !== "2";
    const { writableLength } = response;
    // A session that was read adds a header at once.
    const isCounted = isStill && session !== "read";
    const length = !isExact ? "" : isCounted ? writableLength : writableLength > 0 ? ">0" : "0";
    const flags = [
      response.headersSent && "headersSent",
      response.finished && "finished",
      response.writableEnded && "writableEnded",
      isExact && response.writableFinished && "writableFinished",
      response.writableNeedDrain && "needDrain",
      response.destroyed && "destroyed",
      (response as { closed?: boolean }).closed === true && "closed",
      response.sendDate || "no date",
      response.strictContentLength && "strict",
      response.shouldKeepAlive || "no keep-alive",
      response.chunkedEncoding && "chunked",
      response.req === undefined && "no request",
    ];
    const errored = (response as { errored?: Error | null }).errored;
    return [
      `${response.statusCode} ${response.statusMessage}`,
      ...flags.filter((flag) => typeof flag === "string"),
      `corked ${response.writableCorked}`,
      ...(length === "" ? [] : [`length ${length}`]),
      ...(errored == null ? [] : [`errored ${described(errored)}`]),
    ].join(", ");
  }

  /** The end of a run: what was not released is, and what has not ended ends. */
  async conclude(): Promise<void> {
    await this.#world.release();
    this.#world.resume();
    this.#world.turn();
    await this.#world.settle();
    this.#note("released");
    if (!this.#response.finished) {
      this.#note("at last: response.end()", () => this.#response.end());
      await this.#world.settle();
    }
    this.#note("at the end");
    this.#log.add(`prefinish: ${this.#log.prefinish}`);
  }
}

/** Node tells of a second answer when the first has left, if that is at once. */
function isOfSecondAnswer({ code }: { code?: string }): boolean {
  return code === "ERR_STREAM_WRITE_AFTER_END";
}

function isOfSession(name: unknown): boolean {
  return typeof name === "string" && SESSION_HEADERS.has(name.toLowerCase());
}

export function described(error: unknown): string {
  if (!(error instanceof Error)) return `not an error: ${String(error)}`;
  const { code } = error as { code?: string };
  return `${error.name}${code === undefined ? "" : ` ${code}`}: ${error.message}`;
}
