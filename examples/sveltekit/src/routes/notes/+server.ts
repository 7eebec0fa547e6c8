import { redirect } from "@sveltejs/kit";
import type { RequestHandler } from "./$types";

export const POST: RequestHandler = async ({ request, locals }) => {
  const form = await request.formData();
  // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
  locals.session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
  redirect(303, "/");
};
