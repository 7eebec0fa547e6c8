import http from "node:http";
import { text } from "node:stream/consumers";
import { openStore } from "pgstore";
import { destroy, getObject, getString, manage, putObject, putString, regenerateToken } from "pgstore/scs";

// The functions of SCS in camelCase, as a Go program would use them with SCS's session and pgstore packages.
const engine = await openStore();
const sessionManager = manage(engine, { idleTimeout: "1h" });

const server = http.createServer(
  sessionManager(async (req, res) => {
    switch (`${req.method} ${req.url}`) {
      case "GET /":
        res.setHeader("Content-Type", "application/json");
        return res.end(JSON.stringify({ user: getString(req, "user") || undefined, notes: notesOf(req) }));
      case "POST /login": {
        const form = new URLSearchParams(await text(req));
        // A real application checks a password first. Without a new token, an attacker who planted the old one would be logged in.
        await regenerateToken(req);
        putString(req, "user", form.get("user") || "guest");
        return res.writeHead(303, { Location: "/" }).end();
      }
      case "POST /notes": {
        const form = new URLSearchParams(await text(req));
        putObject(req, "notes", [...notesOf(req), form.get("note") ?? ""]);
        return res.writeHead(303, { Location: "/" }).end();
      }
      case "POST /logout":
        await destroy(req);
        return res.writeHead(303, { Location: "/" }).end();
      default:
        return res.writeHead(404).end();
    }
  }),
);

function notesOf(req: http.IncomingMessage): string[] {
  return getObject<string[]>(req, "notes") ?? [];
}

const port = Number(process.env.PORT || 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void engine.close()));
}
