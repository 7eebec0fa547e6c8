import type { APIRoute } from "astro";
import { inSession } from "../../lib/sessions";

export const GET: APIRoute = (context) =>
  inSession(context, (session) => Response.json({ user: session.userId, notes: session.get("notes") ?? [] }));
