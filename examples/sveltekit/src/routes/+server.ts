import type { RequestHandler } from "./$types";

export const GET: RequestHandler = ({ locals: { session } }) =>
  Response.json({ user: session.userId, notes: session.get("notes") ?? [] });
