import { redirect } from "@sveltejs/kit";
import { inSession } from "$lib/server/sessions";
import type { RequestHandler } from "./$types";

export const POST: RequestHandler = (event) =>
  inSession(event, async (session) => {
    const form = await event.request.formData();
    await session.login(String(form.get("user") || "guest"));
    redirect(303, "/");
  });
