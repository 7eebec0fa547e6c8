import { createFileRoute } from "@tanstack/react-router";
import { inSession } from "../../sessions.server";

export const Route = createFileRoute("/api/notes")({
  server: {
    handlers: {
      POST: ({ request }) =>
        inSession(async (session) => {
          const form = await request.formData();
          session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
          return new Response(null, { status: 303, headers: { Location: "/" } });
        }),
    },
  },
});
