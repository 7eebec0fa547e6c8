import { inSession } from "$lib/server/sessions";
import type { RequestHandler } from "./$types";

export const GET: RequestHandler = (event) =>
  inSession(event, (session) => Response.json({ user: session.userId, notes: session.get("notes") ?? [] }));
