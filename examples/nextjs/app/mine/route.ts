import { redirect } from "next/navigation";
import { fetchHandler } from "pgstore/fetch";
import { manager } from "../../sessions";

export const GET = fetchHandler(manager, (_request, session) => {
  if (session.userId === undefined) redirect("/hello");
  return Response.json(session.get("notes") ?? []);
});
