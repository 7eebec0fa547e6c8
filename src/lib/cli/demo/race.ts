import { after } from "../../core/time.ts";

/** Milliseconds that a write waits for its rival. */
const MAX_WAIT_MS = 1000;

/** Counters of a race in one session. */
interface Track {
  /** A session as a store keeps it that overwrites the whole of it. */
  overwritten: number;
  /** Lets the write that waits go on. */
  go: (() => void) | undefined;
}

/**
 * Pairs the writes of two tabs: both have read the session before either writes. Beside it, each write is repeated on a counter whose last
 * write wins, as in stores that overwrite the whole session.
 */
export class Races {
  readonly #tracks = new Map<string, Track>();
  /** Sessions in a race, at most. */
  readonly #most: number;

  /** Begins without races. */
  constructor(most = 1000) {
    this.#most = most;
  }

  /**
   * Waits until another request of the session has come as far, or for a second.
   *
   * @param id - of the session
   * @returns what the overwritten counter holds after this write
   */
  async meet(id: string): Promise<number> {
    const track = this.#tracks.get(id) ?? { overwritten: 0, go: undefined };
    this.#tracks.delete(id);
    this.#tracks.set(id, track);
    const [oldest] = this.#tracks.keys();
    if (this.#tracks.size > this.#most && oldest !== undefined) this.#tracks.delete(oldest);
    const read = track.overwritten;
    if (track.go === undefined) {
      await new Promise<void>((resolve) => {
        const stop = after(MAX_WAIT_MS, resolve);
        track.go = () => {
          stop();
          resolve();
        };
      });
      track.go = undefined;
    } else {
      track.go();
    }
    track.overwritten = read + 1;
    return track.overwritten;
  }

  /** Returns a session's overwritten counter. */
  overwritten(id: string): number {
    return this.#tracks.get(id)?.overwritten ?? 0;
  }

  /** Sets a session's counter back to zero. */
  reset(id: string): void {
    this.#tracks.delete(id);
  }
}
