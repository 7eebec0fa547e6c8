import { redirect } from "react-router";
import { sessionContext } from "../sessions.server";
import type { Route } from "./+types/login";

export async function action({ request, context }: Route.ActionArgs) {
  const form = await request.formData();
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  await context.get(sessionContext).login(String(form.get("user") || "guest"));
  return redirect("/", 303);
}
