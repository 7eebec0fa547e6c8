import { redirect } from "@sveltejs/kit";
import type { RequestHandler } from "./$types";

export const POST: RequestHandler = async ({ request, locals }) => {
  const form = await request.formData();
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  await locals.session.login(String(form.get("user") || "guest"));
  redirect(303, "/");
};
