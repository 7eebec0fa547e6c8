import { action } from "pgstore/next";
import { manager } from "../../../sessions";

export const POST = action(manager, async (session, request: Request) => {
  const form = await request.formData();
  await session.login(String(form.get("user") || "guest"));
  return new Response(null, { status: 303, headers: { Location: "/" } });
});
