import http, { type IncomingMessage } from "node:http";
import { type Duplex, finished } from "node:stream";
import { text } from "node:stream/consumers";
import { openStore, SessionManager } from "pgstore";
import { fromUpgrade, nodeHandler, type UpgradedSession } from "pgstore/node";
import { WebSocketServer } from "ws";

interface Data {
  notes: string[];
}

const store = await openStore();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const server = http.createServer(
  nodeHandler(manager, async (req, res) => {
    const session = manager.sessionOf(req);
    switch (`${req.method} ${req.url}`) {
      case "GET /":
        res.setHeader("Content-Type", "application/json");
        return res.end(JSON.stringify({ user: session.userId, notes: session.get("notes") ?? [] }));
      case "POST /login": {
        const form = new URLSearchParams(await text(req));
        // A real application checks a password first. The session gets a new token, and the old one is dead at once.
        await session.login(form.get("user") || "guest");
        return res.writeHead(303, { Location: "/" }).end();
      }
      case "POST /notes": {
        const form = new URLSearchParams(await text(req));
        session.update("notes", (notes = []) => [...notes, form.get("note") ?? ""]);
        return res.writeHead(303, { Location: "/" }).end();
      }
      case "POST /logout":
        await session.logout();
        return res.writeHead(303, { Location: "/" }).end();
      default:
        return res.writeHead(404).end();
    }
  }),
);

// A user who is logged in may open a socket. Each message adds a note, and each answer lists all notes.
const sockets = new WebSocketServer({ noServer: true });

server.on("upgrade", (req, socket, head) => {
  upgrade(req, socket, head).catch(() => socket.destroy());
});

async function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  socket.on("error", console.error);
  const live = await fromUpgrade(manager, req);
  // Also called when the handshake fails.
  finished(socket, () => live.close());
  if (live.session.userId === undefined) {
    socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
    return;
  }
  sockets.handleUpgrade(req, socket, head, (ws) => {
    // The session was logged out, in this or another process, or has expired.
    live.signal.addEventListener("abort", () => ws.close(4001, "logged out"));
    ws.on("error", console.error);
    ws.on("message", (data) => {
      addNote(live, String(data as Buffer)).then(
        (notes) => ws.send(JSON.stringify(notes)),
        () => ws.close(1011),
      );
    });
  });
}

async function addNote(live: UpgradedSession<Data>, note: string): Promise<string[]> {
  const session = await live.reload();
  if (session.userId === undefined) throw new Error("the session has ended");
  const notes = session.update("notes", (before = []) => [...before, note]);
  // A WebSocket message has no middleware that commits.
  await manager.commit(session);
  return notes;
}

const port = Number(process.env.PORT || 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => void store.close());
    for (const ws of sockets.clients) ws.close(1001);
  });
}
