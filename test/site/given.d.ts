// What the pages of the documentation take as given: a block of code may use these names without declaring them.
import type { Express } from "express";
import type * as http from "node:http";
import type pg from "pg";
import type * as pgstore from "pgstore";
import type { WithSession } from "pgstore/express"; // and with it, the type of req.session

declare module "pgstore" {
  interface SessionData {
    message: string;
    visits: number;
    flash: string;
    basket: string[];
    role: string;
    notes: string[];
    watching: boolean;
  }
}

/** Keeps the import: what `connect` adds to a request. */
export type SessionRequest = WithSession;

declare global {
  const pool: pg.Pool;
  const PgStore: typeof pgstore.PgStore;
  const SessionManager: typeof pgstore.SessionManager;
  const store: pgstore.PgStore;
  const manager: pgstore.SessionManager;
  const app: Express;
  const server: http.Server;
  type IncomingMessage = http.IncomingMessage;
  type ServerResponse = http.ServerResponse;
}
