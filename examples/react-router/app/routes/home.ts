import { sessionContext } from "../sessions.server";
import type { Route } from "./+types/home";

export function loader({ context }: Route.LoaderArgs) {
  const session = context.get(sessionContext);
  return Response.json({ user: session.userId, notes: session.get("notes") ?? [] });
}
