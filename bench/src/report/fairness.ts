import type { ResultTable } from "../text.ts";

/** What each server does for a request, by what its package does. */
export const REQUEST_TABLE: ResultTable = {
  title: "What each does for a request of a client that has a session",
  columns: ["", "GET", "INC"],
  rows: [
    ["pgstore", "one SELECT for all requests that wait", "the same, and one conditional UPDATE for all that wait"],
    ["pgstore in Express, Fastify, Hono and Koa", "the same", "the same"],
    ["pgstore, idle timeout", "the same; an UPDATE of the expiry once in touchAfter", "as without"],
    ["express-session + connect-pg-simple", "SELECT, UPDATE of the expiry", "SELECT, upsert"],
    ["the same, touch off", "SELECT", "SELECT, upsert"],
    [
      "express-session + pgstore's drop-in",
      "one SELECT and one UPDATE of the expiry for all requests that wait",
      "the SELECT, and one upsert for all that wait",
    ],
    ["@fastify/session + connect-pg-simple", "SELECT", "SELECT, upsert"],
    ["express-session + connect-redis", "GET, EXPIRE", "GET, SET"],
    ["the same, touch off", "GET", "GET, SET"],
  ],
};

export const FAIRNESS: readonly string[] = [
  "Each peer is configured as its documentation recommends: `resave: false`, `saveUninitialized: false`, `rolling: false` " +
    "in @fastify/session. Each has a pool of 10 connections, pgstore too; connect-redis has its one connection, on which " +
    "it pipelines.",
  "What is compared with connect-pg-simple without touch does fewer queries than its default, and so is the harder peer. " +
    "connect-redis is compared in its default, with touch.",
  "pgstore and connect-pg-simple wait until the commit is on the disk (`fsync` and `synchronous_commit` are on). Redis " +
    "writes nothing to the disk here: it acknowledges what a crash loses. A client that pipelines to memory is quicker.",
  "connect-redis works on the client redis 5.12.1, not on 6.3.1, the newest: with 64 operations in flight that one did a " +
    "quarter as many in a trial here.",
  "The peers' writes are upserts: of two parallel changes of one session the last one wins, and a session that was ended " +
    "can come back. pgstore's are conditional. The load is such that the peers' answers are right all the same: each " +
    "client waits for an answer before it asks again.",
  "On the store level pgstore and node-postgres return bytes, connect-pg-simple and connect-redis return parsed JSON. On " +
    "the HTTP level everybody parses.",
  "pgstore is what users get, compiled to JavaScript (`dist`). The TypeScript of the benchmarks, the servers' handlers " +
    "included, runs through tsx, for everybody alike. NODE_ENV is `production` in the servers.",
  "One process with one core is measured: batching has more to gather there than in many small processes.",
];
