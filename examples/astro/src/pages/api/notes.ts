import type { APIRoute } from "astro";
import { inSession } from "../../lib/sessions";

export const POST: APIRoute = (context) =>
  inSession(context, async (session) => {
    const form = await context.request.formData();
    session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
    return context.redirect("/", 303);
  });
