import type { Peer } from "../peers/peer.ts";
import { WrongResultError } from "./scenario.ts";

/** Operations on random rows of a peer, and the knowledge of what must be read. */
export class RowsOfPeer {
  readonly peer: Peer;
  readonly #versions: Uint32Array;

  constructor(peer: Peer, rows: number) {
    this.peer = peer;
    this.#versions = new Uint32Array(rows);
  }

  /** @throws WrongResultError when it is not what was saved last */
  async find(n: number): Promise<void> {
    const version = this.#versions[n] ?? 0;
    if (!(await this.peer.find(n, version))) {
      throw new WrongResultError(`${this.peer.name}: row ${n} is not what was saved, version ${version}`);
    }
  }

  async save(n: number): Promise<void> {
    const version = (this.#versions[n] ?? 0) + 1;
    this.#versions[n] = version;
    await this.peer.save(n, version);
  }

  /** A random row that no other worker touches: then it is known what it holds, even with many operations in flight. */
  pick(worker = 0, workers = 1): number {
    return worker + workers * Math.floor(Math.random() * Math.floor(this.#versions.length / workers));
  }
}
