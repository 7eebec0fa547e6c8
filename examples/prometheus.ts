import http from "node:http";
import { text } from "node:stream/consumers";
import { metrics } from "@opentelemetry/api";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { openStore, SessionManager } from "pgstore";
import { nodeHandler } from "pgstore/node";
import { instrument } from "pgstore/otel";

interface Data {
  notes: string[];
}

const exporter = new PrometheusExporter({ preventServerStart: true });
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [exporter] }));
// Call it last, because it uses the providers that are set at the time of the call.
instrument();

const store = await openStore();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const application = nodeHandler(manager, async (req, res) => {
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
});

const server = http.createServer((req, res) => {
  // The metrics need no session. A real application protects them, by a separate port for example.
  if (req.url === "/metrics") return exporter.getMetricsRequestHandler(req, res);
  return application(req, res);
});

const port = Number(process.env.PORT || 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
