import { once } from "node:events";
import net from "node:net";

/** A proxy on loopback, between a client and PostgreSQL, that fails on command. It reads plain text, not TLS. */
export interface CutProxy {
  readonly port: number;
  /** Number of connections that `cutAfter` has cut. */
  readonly cuts: number;
  /** Number of the server's complete answers, including cut ones. */
  readonly answers: number;
  /** A server's URL with the proxy in its place. */
  through(url: string): string;
  /**
   * Drops a connection when the server's answer holds a CommandComplete with this tag ("UPDATE 1", "COMMIT", or
   * "UPDATE" for any number of rows). A transaction that ends with this statement is committed first. The client sees
   * nothing of that answer.
   *
   * @param times - number of drops. Default 1. 0 disarms the tag
   */
  cutAfter(tag: string, times?: number): void;
  /** Swallows what either side sends. Connections that lost something this way are dropped when it ends. */
  blackhole(on: boolean): void;
  /** Accepts new connections only to close them. */
  refuse(on: boolean): void;
  /** Accepts new connections and says nothing to them, as a host behind a load balancer may. Earlier ones go on. */
  keep(on: boolean): void;
  /** Lets the connections that were kept go on to the server. */
  letGo(): void;
  /** Sends new connections to another port. Earlier ones stay where they are. */
  leadTo(port: number): void;
  /** Drops every connection. */
  killAll(): void;
  /** Resets every connection: even an idle client gets ECONNRESET. */
  resetAll(): void;
  close(): Promise<void>;
}

interface Pair {
  /** Has lost bytes to the black hole. */
  broken: boolean;
  destroy(): void;
  reset(): void;
}

/** Starts a proxy in front of a server on `firstPort`. */
export async function startCutProxy(firstPort: number, targetHost = "127.0.0.1"): Promise<CutProxy> {
  const pairs = new Set<Pair>();
  const armed = new Map<string, number>();
  let targetPort = firstPort;
  let swallowing = false;
  let refusing = false;
  let keeping = false;
  const kept = new Set<net.Socket>();
  let cuts = 0;
  let answers = 0;

  /** Counts a tag and returns whether to cut it. */
  const takes = (tag: string): boolean => {
    const key = [...armed.keys()].find((one) => tag === one || tag.startsWith(`${one} `));
    const times = key === undefined ? 0 : (armed.get(key) ?? 0);
    if (key === undefined || times === 0) return false;
    armed.set(key, times - 1);
    cuts++;
    return true;
  };

  const listener = net.createServer({ noDelay: true }, (client) => {
    client.on("error", () => {});
    if (refusing) {
      client.destroy();
      return;
    }
    if (!keeping) {
      join(client);
      return;
    }
    kept.add(client);
    // It is noticed when the client hangs up.
    client.pause();
    client.on("close", () => kept.delete(client));
  });
  const join = (client: net.Socket): void => {
    const server = net.connect({ port: targetPort, host: targetHost, noDelay: true });
    server.on("error", () => {});
    const pair: Pair = {
      broken: false,
      destroy: () => {
        client.destroy();
        server.destroy();
      },
      reset: () => {
        client.resetAndDestroy();
        server.destroy();
      },
    };
    pairs.add(pair);
    const messages = messageReader();
    let doomed = false;
    client.on("data", (bytes) => {
      if (swallowing) pair.broken = true;
      else server.write(bytes);
    });
    server.on("data", (bytes) => {
      for (const { type, body } of messages(bytes)) {
        if (type === "C" && !doomed) doomed = takes(body.toString("utf8", 0, body.indexOf(0)));
        if (type !== "Z") continue;
        answers++;
        // Only ReadyForQuery says that the commit is done: CommandComplete may be sent before it.
        if (doomed) pair.destroy();
      }
      if (doomed) return;
      if (swallowing) pair.broken = true;
      else client.write(bytes);
    });
    client.on("close", () => {
      pairs.delete(pair);
      if (swallowing) pair.destroy();
      else server.destroySoon();
    });
    server.on("close", () => {
      pairs.delete(pair);
      client.destroySoon();
    });
  };

  const killAll = (): void => {
    for (const pair of pairs) pair.destroy();
  };
  const letGo = (): void => {
    for (const client of kept) {
      join(client);
      client.resume();
    }
    kept.clear();
  };
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  return {
    port,
    get cuts() {
      return cuts;
    },
    get answers() {
      return answers;
    },
    through(url) {
      const proxied = new URL(url);
      proxied.host = `127.0.0.1:${port}`;
      return proxied.href;
    },
    cutAfter: (tag, times = 1) => void armed.set(tag, times),
    blackhole(on) {
      swallowing = on;
      if (on) return;
      for (const pair of pairs) if (pair.broken) pair.destroy();
    },
    refuse: (on) => void (refusing = on),
    keep: (on) => void (keeping = on),
    letGo,
    leadTo: (other) => void (targetPort = other),
    killAll,
    resetAll() {
      for (const pair of pairs) pair.reset();
    },
    async close() {
      killAll();
      for (const client of kept) client.destroy();
      listener.close();
      await once(listener, "close");
    },
  };
}

/** Makes a function that takes pieces of a server's answer and returns the messages that each piece completes. */
function messageReader(): (bytes: Buffer) => { type: string; body: Buffer }[] {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    const messages = [];
    rest = Buffer.concat([rest, bytes]);
    // One byte of type, four of a length that counts itself.
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = rest.readUInt32BE(1) + 1;
      messages.push({ type: String.fromCharCode(rest[0] ?? 0), body: rest.subarray(5, end) });
      rest = rest.subarray(end);
    }
    return messages;
  };
}
