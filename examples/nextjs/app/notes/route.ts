import { fetchHandler } from "pgstore/fetch";
import { manager, seeHome } from "../../sessions";

export const POST = fetchHandler(manager, async (request, session) => {
  const form = await request.formData();
  // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
  session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
  return seeHome();
});
