import type { APIRoute } from "astro";
import { inSession } from "../../lib/sessions";

export const POST: APIRoute = (context) =>
  inSession(context, async (session) => {
    await session.logout();
    return context.redirect("/", 303);
  });
