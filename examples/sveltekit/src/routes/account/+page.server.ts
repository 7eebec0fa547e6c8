import { redirect } from "@sveltejs/kit";
import { inSession, manager } from "$lib/server/sessions";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) =>
  inSession(event, async (session) => {
    if (session.userId === undefined) redirect(303, "/");
    const devices = await manager.listByUser(session.userId, { current: session });
    return { devices: devices.map(({ id, created, current }) => ({ id, created, current })) };
  });

export const actions: Actions = {
  logOut: (event) =>
    inSession(event, async (session) => {
      await session.logout();
      redirect(303, "/");
    }),
  logOutEverywhere: (event) =>
    inSession(event, async (session) => {
      await manager.destroyByUser(session.requireUser(), { except: session });
      await session.logout();
      redirect(303, "/");
    }),
};
