import { createFileRoute } from "@tanstack/react-router";
import { inSession } from "../../sessions.server";

export const Route = createFileRoute("/api/")({
  server: {
    handlers: {
      GET: () => inSession((session) => Response.json({ user: session.userId, notes: session.get("notes") ?? [] })),
    },
  },
});
