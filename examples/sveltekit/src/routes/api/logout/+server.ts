import { redirect } from "@sveltejs/kit";
import { inSession } from "$lib/server/sessions";
import type { RequestHandler } from "./$types";

export const POST: RequestHandler = (event) =>
  inSession(event, async (session) => {
    await session.logout();
    redirect(303, "/");
  });
