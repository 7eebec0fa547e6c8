import { redirect } from "next/navigation";
import { action } from "pgstore/next";
import { manager } from "../../../sessions";

export const GET = action(manager, async (session, _request: Request) => {
  if (session.userId === undefined) redirect("/");
  return Response.json(session.get("notes") ?? []);
});
