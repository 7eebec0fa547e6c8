import { Duplex } from "node:stream";

type Done = (error?: Error | null) => void;

/**
 * The server's end of a connection, without a network: what is written arrives at once, as in a kernel with room, or waits
 * while the client reads nothing.
 */
export class Wire extends Duplex {
  /** What has reached the client. */
  readonly arrived: Buffer[] = [];
  /** Counts what happened, to notice when nothing does any more. */
  events = 0;
  /** The server closed its half. */
  ended = false;
  #isOpen = true;
  #waiting: ((arrives: boolean) => void) | undefined;

  constructor() {
    super({ decodeStrings: false });
  }

  /** Lets bytes pass from now on, or holds them. */
  open(isOpen: boolean): void {
    this.#isOpen = isOpen;
    const waiting = this.#waiting;
    if (!isOpen || waiting === undefined || this.destroyed) return;
    this.#waiting = undefined;
    waiting(true);
  }

  /** As a socket of `node:net`, which the server prefers to `end`. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  setTimeout(): this {
    return this;
  }

  override _read(): void {}

  override _write(chunk: string | Buffer, encoding: BufferEncoding, done: Done): void {
    this.#carry([{ chunk, encoding }], done);
  }

  override _writev(chunks: { chunk: string | Buffer; encoding: BufferEncoding }[], done: Done): void {
    this.#carry(chunks, done);
  }

  override _final(done: Done): void {
    this.#carry([], () => {
      this.ended = true;
      done();
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    this.events++;
    // As `node:net`: when the handle has closed, a write under way is told of its end, and that it went well.
    setImmediate(() => {
      this.events++;
      this.#waiting?.(false);
      this.#waiting = undefined;
      done(error);
    });
  }

  #carry(chunks: { chunk: string | Buffer; encoding: BufferEncoding }[], done: Done): void {
    const carry = (arrives: boolean): void => {
      this.events++;
      for (const { chunk, encoding } of arrives ? chunks : []) {
        this.arrived.push(typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk);
      }
      done();
    };
    if (this.#isOpen) carry(true);
    else this.#waiting = carry;
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Waits until nothing has happened for more turns of the event loop than wrappers that delay an end take. */
export async function settle(count: () => number): Promise<void> {
  let seen = count();
  for (let quiet = 0, turns = 0; quiet < 10 && turns < 10_000; turns++) {
    await turn();
    if (count() === seen) quiet++;
    else {
      seen = count();
      quiet = 0;
    }
  }
}
