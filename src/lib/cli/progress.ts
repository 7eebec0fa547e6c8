import { monotonicNow } from "../core/time.ts";
import { count } from "../core/format-number.ts";

/** The part of standard error that is used. */
export interface ProgressStream {
  isTTY?: boolean;
  write(text: string): unknown;
}

const BAR_CHARACTERS = 30;
/** Between two drawings on a terminal, and between two lines elsewhere. */
const REDRAW_MS = 100;
const LINE_MS = 5000;

/** Shows the progress of some work: a bar on a terminal, a line now and then in a log. */
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

  /** Shows how much is done. @param total - if it was unknown before */
  update(done: number, total = this.#total): void {
    this.#done = done;
    this.#total = total;
    const now = this.#now();
    if (now - this.#shownAt < (this.#stream.isTTY === true ? REDRAW_MS : LINE_MS)) return;
    this.#shownAt = now;
    this.#show();
  }

  /** Ends the line. */
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
    const full = Math.round(this.#share * BAR_CHARACTERS);
    return `[${"#".repeat(full)}${"-".repeat(BAR_CHARACTERS - full)}] ${Math.floor(this.#share * 100)}% `;
  }

  get #sum(): string {
    return this.#total === undefined ? count(this.#done) : `${count(this.#done)} of ${count(this.#total)}`;
  }
}
