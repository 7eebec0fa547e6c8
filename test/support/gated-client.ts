import type { PgClient } from "../../src/index.ts";
import { Gate } from "./barrier.ts";

/** One statement that has been sent. */
export interface Sent {
  text: string;
  values: unknown[];
  /** The tokens in its first parameter, an array or a single one. */
  tokens: string[];
}

/** A client that records every statement and can hold them back from the database. */
export interface GatedClient extends PgClient {
  readonly sent: Sent[];
  /** Statements that the database has not answered. */
  readonly underWay: number;
  /** The greatest number of statements that were under way at once. */
  readonly most: number;
  /** Holds the next statements until `release`. */
  hold(): void;
  /** Sends the held statements, and later ones at once. */
  release(): void;
}

/** Stands between a store and a real client. */
export function gatedClient(client: PgClient): GatedClient {
  const sent: Sent[] = [];
  let gate: Gate | undefined;
  let underWay = 0;
  let most = 0;
  return {
    sent,
    get underWay() {
      return underWay;
    },
    get most() {
      return most;
    },
    hold() {
      gate = new Gate();
    },
    release() {
      gate?.open();
      gate = undefined;
    },
    async query(text, values = []) {
      const [first] = values;
      const tokens = String(first).startsWith('{"') ? String(first).slice(2, -2).split('","') : [String(first)];
      sent.push({ text, values, tokens });
      underWay++;
      most = Math.max(most, underWay);
      try {
        await gate?.wait();
        return await client.query(text, values);
      } finally {
        underWay--;
      }
    },
  };
}
