import { MemoryStore, type Session, SessionManager } from "pgstore";

/** A declared value that a session can't hold. */
declare module "pgstore" {
  interface SessionData {
    cart: Map<string, number>;
    message: string;
  }
}

// @ts-expect-error the Map
new SessionManager(new MemoryStore());

export function fill(session: Session): void {
  session.set("message", "");
  // @ts-expect-error the Map
  session.set("cart", new Map());
}
