import http from "node:http";
import { text } from "node:stream/consumers";
import { openStore, SessionManager } from "pgstore";
import { nodeHandler } from "pgstore/node";

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
        // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
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

const port = Number(process.env.PORT || 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
