import http from "node:http";
import { initTRPC, TRPCError } from "@trpc/server";
import { createHTTPHandler, type CreateHTTPContextOptions } from "@trpc/server/adapters/standalone";
import pg from "pg";
import { PgStore, SessionManager } from "pgstore";
import { nodeHandler } from "pgstore/node";

interface Data {
  notes: string[];
}

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  connectionTimeoutMillis: 5000,
  allowExitOnIdle: true,
});
pool.on("error", console.error);
const store = new PgStore(pool);
await store.migrate();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const createContext = ({ req }: CreateHTTPContextOptions) => ({ session: manager.sessionOf(req) });
const t = initTRPC.context<typeof createContext>().create();

/** For procedures of users who are logged in. The others are answered with 401. */
const userProcedure = t.procedure.use(({ ctx, next }) => {
  const { userId } = ctx.session;
  if (userId === undefined) throw new TRPCError({ code: "UNAUTHORIZED" });
  return next({ ctx: { userId } });
});

/** Checks a procedure's input: an object with a text. A real application uses a library such as Zod. */
const withText =
  <K extends string>(key: K) =>
  (input: unknown): Record<K, string> => {
    const text = (input as Partial<Record<K, unknown>> | null)?.[key];
    if (typeof text !== "string" || text === "") throw new TypeError(`${key}: expected a text`);
    return { [key]: text } as Record<K, string>;
  };

const router = t.router({
  show: t.procedure.query(({ ctx: { session } }) => ({ user: session.userId, notes: session.get("notes") ?? [] })),
  login: t.procedure.input(withText("user")).mutation(async ({ ctx: { session }, input }) => {
    // A real application checks a password first. The session gets a new token, and the old one is dead at once.
    await session.login(input.user);
  }),
  notes: t.procedure.input(withText("note")).mutation(({ ctx: { session }, input }) => {
    // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
    session.update("notes", (notes = []) => [...notes, input.note]);
  }),
  logout: t.procedure.mutation(({ ctx: { session } }) => session.logout()),
  devices: userProcedure.query(async ({ ctx: { session, userId } }) => {
    const devices = await manager.listByUser(userId, { current: session });
    return devices.map(({ created, current }) => ({ created, current }));
  }),
});

/** The client imports this type. */
export type AppRouter = typeof router;

// The response is held until the session is stored, also that of a batch of procedures.
const server = http.createServer(nodeHandler(manager, createHTTPHandler({ router, createContext })));

const port = Number(process.env.PORT ?? 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port} is listening`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
