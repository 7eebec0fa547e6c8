import { fetchHandler } from "pgstore/fetch";
import { manager, seeHome } from "../../sessions";

export const POST = fetchHandler(manager, async (request, session) => {
  const form = await request.formData();
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  await session.login(String(form.get("user") || "guest"));
  return seeHome();
});
