import { openStore, SessionManager } from "pgstore";
import { fetchHandler } from "pgstore/fetch";

interface Data {
  notes: string[];
}

const store = await openStore();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const handler = fetchHandler(manager, async (request, session) => {
  switch (`${request.method} ${new URL(request.url).pathname}`) {
    case "GET /":
      return Response.json({ user: session.userId, notes: session.get("notes") ?? [] });
    case "POST /login": {
      const form = new URLSearchParams(await request.text());
      // A real application checks a password first. The session gets a new token, and the old one is dead at once.
      await session.login(form.get("user") || "guest");
      return seeHome();
    }
    case "POST /notes": {
      const form = new URLSearchParams(await request.text());
      // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
      session.update("notes", (notes = []) => [...notes, form.get("note") ?? ""]);
      return seeHome();
    }
    case "POST /logout":
      await session.logout();
      return seeHome();
    default:
      return new Response(null, { status: 404 });
  }
});

function seeHome(): Response {
  return new Response(null, { status: 303, headers: { Location: "/" } });
}

const port = Number(Deno.env.get("PORT") || 4000);
const server = Deno.serve(
  { port, hostname: "127.0.0.1", onListen: () => console.log(`http://localhost:${port}`) },
  (request) => handler(request),
);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, stop);
}

function stop(): void {
  // A signal listener keeps the process alive.
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, stop);
  void server.shutdown().then(() => store.close());
}
