import { action } from "pgstore/next";
import { manager } from "../../../sessions";

export const POST = action(manager, async (session, _request: Request) => {
  await session.logout();
  return new Response(null, { status: 303, headers: { Location: "/" } });
});
