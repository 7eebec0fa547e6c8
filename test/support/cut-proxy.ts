import net from "node:net";
import type { AddressInfo } from "node:net";

/** A TCP proxy on loopback between a client and PostgreSQL that can fail in the ways that networks do. */
export interface CutProxy {
  port: number;
  /** Drops the next answers that hold this command tag, "UPDATE 1" say, and their connection: the outcome is unknown. */
  cutAfter(tag: string, times?: number): void;
  /** Passes nothing on, in either direction, and closes nothing. */
  blackhole(on: boolean): void;
  /** Closes new connections at once. */
  refuse(on: boolean): void;
  /** Breaks every connection. */
  killAll(): void;
  close(): Promise<void>;
}

export async function startCutProxy(targetPort: number): Promise<CutProxy> {
  const sockets = new Set<net.Socket>();
  let cut: { tag: Buffer; left: number } | undefined;
  let silent = false;
  let refusing = false;

  const track = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const server = net.createServer((client) => {
    track(client);
    if (refusing) {
      client.destroy();
      return;
    }
    const upstream = net.connect(targetPort, "127.0.0.1");
    track(upstream);
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    client.on("data", (chunk: Buffer) => {
      if (!silent) upstream.write(chunk);
    });
    upstream.on("data", (chunk: Buffer) => {
      if (silent) return;
      if (cut !== undefined && cut.left > 0 && chunk.includes(cut.tag)) {
        cut.left--;
        client.destroy();
        return;
      }
      client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const killAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cutAfter: (tag, times = 1) => (cut = { tag: Buffer.from(tag), left: times }),
    blackhole: (on) => (silent = on),
    refuse: (on) => (refusing = on),
    killAll,
    close: () => {
      killAll();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
