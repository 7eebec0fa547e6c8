import { fetchHandler } from "pgstore/fetch";
import { manager } from "../sessions";

export const GET = fetchHandler(manager, (_request, session) =>
  Response.json({ user: session.userId, notes: session.get("notes") ?? [] }),
);
