import { monotonicNow } from "../core/time.ts";
import { count } from "../core/format-number.ts";

/** What of standard error is used. */
export interface ProgressStream {
  isTTY?: boolean;
  write(text: string): unknown;
}

const WIDTH = 30;
/** Milliseconds between two drawings on a terminal, and between two lines elsewhere. */
const REDRAW = 100;
const LINE = 5000;

/** Shows how far some work has come: a bar that is drawn over on a terminal, a line now and then in a log. */
export class Progress {
  readonly #stream: ProgressStream;
  readonly #label: string;
  #total: number | undefined;
  readonly #now: () => number;
  readonly #begun: number;
  #shownAt: number;
  #done = 0;
  #isDrawn = false;

  /** @param total - undefined: unknown */
  constructor(label: string, total?: number, stream: ProgressStream = process.stderr, now = monotonicNow) {
    this.#stream = stream;
    this.#label = label;
    this.#total = total;
    this.#now = now;
    this.#begun = now();
    this.#shownAt = this.#begun;
  }

  /** Notes how much is done, and the total where it was not known before. */
  update(done: number, total = this.#total): void {
    this.#done = done;
    this.#total = total;
    const now = this.#now();
    if (now - this.#shownAt < (this.#stream.isTTY === true ? REDRAW : LINE)) return;
    this.#shownAt = now;
    this.#show();
  }

  /** Leaves the line as it is at the end. */
  finish(): void {
    if (this.#stream.isTTY === true) this.#show();
    if (this.#isDrawn) this.#stream.write("\n");
    this.#isDrawn = false;
  }

  #show(): void {
    const rate = Math.round(this.#done / Math.max(0.001, (this.#now() - this.#begun) / 1000));
    const speed = `${count(rate)}/s`;
    if (this.#stream.isTTY !== true) {
      this.#stream.write(`${this.#label}: ${this.#sum} ${speed}\n`);
      return;
    }
    this.#isDrawn = true;
    this.#stream.write(`\r\u001B[K${this.#label} ${this.#bar}${this.#sum} ${speed}`);
  }

  get #share(): number {
    // The total may be an estimate.
    return this.#total === undefined || this.#total === 0 ? 0 : Math.min(1, this.#done / this.#total);
  }

  get #bar(): string {
    if (this.#total === undefined) return "";
    const full = Math.round(this.#share * WIDTH);
    return `[${"#".repeat(full)}${"-".repeat(WIDTH - full)}] ${Math.floor(this.#share * 100)}% `;
  }

  get #sum(): string {
    return this.#total === undefined ? count(this.#done) : `${count(this.#done)} of ${count(this.#total)}`;
  }
}
