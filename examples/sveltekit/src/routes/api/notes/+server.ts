import { redirect } from "@sveltejs/kit";
import { inSession } from "$lib/server/sessions";
import type { RequestHandler } from "./$types";

export const POST: RequestHandler = (event) =>
  inSession(event, async (session) => {
    const form = await event.request.formData();
    session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
    redirect(303, "/");
  });
