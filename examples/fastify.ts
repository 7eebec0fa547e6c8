import createFastify, { type FastifyRequest } from "fastify";
import { openStore, SessionManager } from "pgstore";
import { session } from "pgstore/fastify";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
  }
}

const store = await openStore();
const manager = new SessionManager(store, { idleTimeout: "1h" });

const app = createFastify();
await app.register(session, { manager });
app.addHook("onClose", () => store.close());
app.addContentTypeParser(
  "application/x-www-form-urlencoded",
  { parseAs: "string" },
  async (_request: FastifyRequest, body: string) => new URLSearchParams(body),
);

app.get("/", async ({ session }) => ({ user: session.userId, notes: session.get("notes") ?? [] }));

app.post<{ Body?: URLSearchParams }>("/login", async (request, reply) => {
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  await request.session.login(request.body?.get("user") || "guest");
  return reply.redirect("/", 303);
});

app.post<{ Body?: URLSearchParams }>("/notes", async (request, reply) => {
  const note = request.body?.get("note") ?? "";
  // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
  request.session.update("notes", (notes = []) => [...notes, note]);
  return reply.redirect("/", 303);
});

app.post("/logout", async (request, reply) => {
  await request.session.logout();
  return reply.redirect("/", 303);
});

const port = Number(process.env.PORT || 4000);
await app.listen({ port, host: "127.0.0.1" });
console.log(`http://localhost:${port}`);

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => void app.close());
}
