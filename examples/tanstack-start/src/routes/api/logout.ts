import { createFileRoute } from "@tanstack/react-router";
import { inSession } from "../../sessions.server";

export const Route = createFileRoute("/api/logout")({
  server: {
    handlers: {
      POST: () =>
        inSession(async (session) => {
          await session.logout();
          return new Response(null, { status: 303, headers: { Location: "/" } });
        }),
    },
  },
});
