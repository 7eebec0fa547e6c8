import http from "node:http";
import { ApolloServer } from "@apollo/server";
import { ApolloServerPluginDrainHttpServer } from "@apollo/server/plugin/drainHttpServer";
import { expressMiddleware } from "@as-integrations/express5";
import express from "express";
import { GraphQLError } from "graphql";
import pg from "pg";
import { PgStore, type Session, SessionManager } from "pgstore";
import { session as sessions } from "pgstore/express";

interface Data {
  notes: string[];
}

interface Context {
  session: Session<Data>;
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

const typeDefs = `#graphql
  type Query {
    visitor: Visitor!
    devices: [Device!]!
  }
  type Mutation {
    login(user: String!): Visitor!
    addNote(note: String!): Visitor!
    logout: Boolean!
  }
  type Visitor {
    user: String
    notes: [String!]!
  }
  type Device {
    created: String!
    current: Boolean!
  }
`;

const show = ({ session }: Context) => ({ user: session.userId, notes: session.get("notes") ?? [] });

/** Returns the user who is logged in. Without one, the answer has the status 401. */
function userOf({ session: { userId } }: Context): string {
  if (userId !== undefined) return userId;
  throw new GraphQLError("Log in first.", { extensions: { code: "UNAUTHENTICATED", http: { status: 401 } } });
}

const resolvers = {
  Query: {
    visitor: (_parent: unknown, _args: unknown, context: Context) => show(context),
    devices: async (_parent: unknown, _args: unknown, context: Context) => {
      const devices = await manager.listByUser(userOf(context), { current: context.session });
      return devices.map(({ created, current }) => ({ created: created.toISOString(), current }));
    },
  },
  Mutation: {
    login: async (_parent: unknown, { user }: { user: string }, context: Context) => {
      // A real application checks a password first. The session gets a new token, and the old one is dead at once.
      await context.session.login(user);
      return show(context);
    },
    addNote: (_parent: unknown, { note }: { note: string }, context: Context) => {
      // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
      context.session.update("notes", (notes = []) => [...notes, note]);
      return show(context);
    },
    logout: async (_parent: unknown, _args: unknown, context: Context) => {
      await context.session.logout();
      return true;
    },
  },
};

const app = express();
const server = http.createServer(app);
const apollo = new ApolloServer<Context>({
  typeDefs,
  resolvers,
  plugins: [ApolloServerPluginDrainHttpServer({ httpServer: server })],
  // Apollo Server would end the program itself, before the store has finished.
  stopOnTerminationSignals: false,
});
await apollo.start();

app.use(sessions(manager));
app.use(
  "/graphql",
  express.json(),
  expressMiddleware(apollo, { context: async ({ req }) => ({ session: manager.sessionOf(req) }) }),
);

const port = Number(process.env.PORT || 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => void apollo.stop().then(() => store.close()));
}
