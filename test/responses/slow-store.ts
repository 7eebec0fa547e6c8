import { MemoryStore, StoreUnavailableError } from "../../src/index.ts";

/** A store that takes its time for each new row: until it is let go, or some turns of the event loop. */
export class SlowStore extends MemoryStore {
  /** Every new row is refused. */
  isDown = false;
  #held: Promise<void> | undefined;
  #letGo: () => void = () => {};
  #arrived: () => void = () => {};

  constructor() {
    super({ cleanupInterval: 0 });
  }

  /** New rows wait from now on. Resolves when the first one does. */
  hold(): Promise<void> {
    this.#held = new Promise((resolve) => (this.#letGo = resolve));
    return new Promise((resolve) => (this.#arrived = resolve));
  }

  letGo(): void {
    this.#letGo();
    this.#held = undefined;
  }

  override async create(...args: Parameters<MemoryStore["create"]>): Promise<boolean> {
    this.#arrived();
    await this.#held;
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => void setImmediate(resolve));
    if (this.isDown) throw new StoreUnavailableError("expected by the test");
    return super.create(...args);
  }
}
