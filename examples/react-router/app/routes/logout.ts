import { redirect } from "react-router";
import { sessionContext } from "../sessions.server";
import type { Route } from "./+types/logout";

export async function action({ context }: Route.ActionArgs) {
  await context.get(sessionContext).logout();
  return redirect("/", 303);
}
