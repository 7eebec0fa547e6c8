export { type FastifySessionOptions, session, session as default } from "./lib/http/fastify.ts";
