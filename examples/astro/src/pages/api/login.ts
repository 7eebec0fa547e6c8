import type { APIRoute } from "astro";
import { inSession } from "../../lib/sessions";

export const POST: APIRoute = (context) =>
  inSession(context, async (session) => {
    const form = await context.request.formData();
    await session.login(String(form.get("user") || "guest"));
    return context.redirect("/", 303);
  });
