import { MemoryStore, SessionManager } from "pgstore";

export interface Data {
  message: string;
  visits: number;
}

export const manager = new SessionManager<Data>(new MemoryStore(), { idleTimeout: "20m" });

declare module "pgstore" {
  interface Register {
    manager: typeof manager;
  }
}
