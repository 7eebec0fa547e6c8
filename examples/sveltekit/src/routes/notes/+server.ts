import { redirect } from "@sveltejs/kit";
import type { RequestHandler } from "./$types";

export const POST: RequestHandler = async ({ request, locals }) => {
  const form = await request.formData();
  // Not get and set: of two tabs that add a note at the same time, both keep theirs.
  locals.session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
  redirect(303, "/");
};
