import { redirect } from "react-router";
import { sessionContext } from "../sessions.server";
import type { Route } from "./+types/notes";

export async function action({ request, context }: Route.ActionArgs) {
  const form = await request.formData();
  // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
  context.get(sessionContext).update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
  return redirect("/", 303);
}
