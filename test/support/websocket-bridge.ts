import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { WebSocketServer } from "ws";

/**
 * Starts a stand-in for Neon's WebSocket proxy on loopback: it passes bytes on by TCP, to the client's
 * `?address=host:port`. It keeps no process alive and ends with it.
 *
 * @returns the port
 */
export async function startWebSocketBridge(): Promise<number> {
  const server = http.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  new WebSocketServer({ server }).on("connection", (client, request) => {
    const address = new URL(request.url ?? "/", "http://x").searchParams.get("address");
    const { hostname, port } = new URL(`tcp://${address}`);
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    socket.on("data", (bytes) => client.send(bytes));
    socket.on("error", () => {});
    socket.on("close", () => client.close());
    client.on("message", (bytes) => socket.write(bytes as Buffer));
    client.on("error", () => {});
    client.on("close", () => socket.end());
  });
  return (server.address() as net.AddressInfo).port;
}
