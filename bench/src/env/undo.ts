/** What must be undone before the process ends, in reverse order. */
export class Undo {
  readonly #steps: (() => unknown)[] = [];
  #running: Promise<void> | undefined;

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  /** Undoes everything once, whoever asks; a step that fails does not keep the others from being undone. */
  run(): Promise<void> {
    return (this.#running ??= this.#all());
  }

  async #all(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        console.error("could not tidy up:", error);
      }
    }
  }
}
