import { count, durationText } from "../core/format-number.ts";
import { type Style, type StyledStream, styleOf } from "./style.ts";

/** The part of standard error that is used. */
type ProgressStream = StyledStream & { write(text: string): unknown };

const BAR_CHARACTERS = 30;
/** Share of the work, and milliseconds, before which the time left would be a guess. */
const MIN_SHARE = 0.01;
const MIN_SPENT_MS = 1000;
/** Milliseconds between two drawings on a terminal, and between two lines elsewhere. */
const REDRAW_MS = 100;
const LINE_MS = 5000;

/** Shows the progress of some work: a bar on a terminal, a line now and then in a log. */
export class Progress {
  readonly #stream: ProgressStream;
  readonly #label: string;
  #total: number | undefined;
  readonly #now: () => number;
  readonly #style: Style;
  readonly #begun: number;
  #shownAt: number;
  #done = 0;
  #isDrawn = false;

  /** @param total - undefined: unknown */
  constructor(label: string, total?: number, stream: ProgressStream = process.stderr, now = () => performance.now()) {
    this.#stream = stream;
    this.#label = label;
    this.#total = total;
    this.#now = now;
    this.#style = styleOf(stream);
    this.#begun = now();
    this.#shownAt = this.#begun;
  }

  /** Shows how much is done. @param total - if it was unknown before */
  update(done: number, total = this.#total): void {
    this.#done = done;
    this.#total = total;
    const now = this.#now();
    if (now - this.#shownAt < (this.#style.isTTY ? REDRAW_MS : LINE_MS)) return;
    this.#shownAt = now;
    this.#show();
  }

  /** Ends the line, if there is one: work that is soon done has shown none. */
  finish(): void {
    if (!this.#isDrawn) return;
    this.#show();
    this.#stream.write("\n");
    this.#isDrawn = false;
  }

  #show(): void {
    const [done, total] = [this.#done, this.#total];
    const spent = this.#now() - this.#begun;
    // The total may be an estimate.
    const share = total === undefined || total === 0 ? 0 : Math.min(1, done / total);
    const rate = Math.round(done / Math.max(0.001, spent / 1000));
    const sum = total === undefined ? count(done) : `${count(done)} of ${count(total)}`;
    const isGuess = share < MIN_SHARE || share >= 1 || spent < MIN_SPENT_MS;
    const left = isGuess ? "" : `, ${durationText((spent * (1 - share)) / share)} left`;
    const figures = `${sum} ${count(rate)}/s${left}`;
    if (!this.#style.isTTY) {
      this.#stream.write(`${this.#label}: ${figures}\n`);
      return;
    }
    this.#isDrawn = true;
    const room = this.#style.width - this.#label.length - figures.length - " [] 100% ".length;
    const bar = total === undefined ? "" : this.#bar(share, Math.min(BAR_CHARACTERS, room));
    // Erased to the end of the line, which a shorter text would leave there.
    this.#stream.write(`\r\u001B[K${this.#label} ${bar}${figures}`);
  }

  /** @param width - characters of the bar. Without room there is only the percentage */
  #bar(share: number, width: number): string {
    const percent = `${Math.floor(share * 100)}% `;
    if (width < 5) return percent;
    const full = Math.round(share * width);
    const { green, dim } = this.#style;
    return `[${green("#".repeat(full))}${dim("-".repeat(width - full))}] ${percent}`;
  }
}
