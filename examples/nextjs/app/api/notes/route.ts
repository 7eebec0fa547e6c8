import { action } from "pgstore/next";
import { manager } from "../../../sessions";

export const POST = action(manager, async (session, request: Request) => {
  const form = await request.formData();
  session.update("notes", (notes = []) => [...notes, String(form.get("note") ?? "")]);
  return new Response(null, { status: 303, headers: { Location: "/" } });
});
