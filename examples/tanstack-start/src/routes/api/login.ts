import { createFileRoute } from "@tanstack/react-router";
import { inSession } from "../../sessions.server";

export const Route = createFileRoute("/api/login")({
  server: {
    handlers: {
      POST: ({ request }) =>
        inSession(async (session) => {
          const form = await request.formData();
          await session.login(String(form.get("user") || "guest"));
          return new Response(null, { status: 303, headers: { Location: "/" } });
        }),
    },
  },
});
