export { type FastifySessionOptions, session, session as default } from "./lib/adapters/fastify.ts";
