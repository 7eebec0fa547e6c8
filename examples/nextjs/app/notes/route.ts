import { fetchHandler } from "pgstore/fetch";
import { manager, seeHome } from "../../sessions";

export const POST = fetchHandler(manager, async (request, session) => {
  const form = await request.formData();
  // Not get and set: of two tabs that add a note at the same time, both keep theirs.
  session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
  return seeHome();
});
