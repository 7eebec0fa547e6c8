import { fail, redirect } from "@sveltejs/kit";
import { inSession } from "$lib/server/sessions";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => inSession(event, (session) => ({ notes: session.get("notes") ?? [] }));

export const actions: Actions = {
  logIn: (event) =>
    inSession(event, async (session) => {
      const form = await event.request.formData();
      const user = String(form.get("user"));
      // A real application checks a password here.
      if (!/^[a-z]+$/.test(user)) return fail(400, { message: "Your name has letters from a to z." });
      // The session gets a new token, and the old one is dead at once.
      await session.login(user, form.has("remember") ? { remember: "30d", idleTimeout: "7d" } : {});
      redirect(303, "/account");
    }),
  addNote: (event) =>
    inSession(event, async (session) => {
      const form = await event.request.formData();
      // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
      session.update("notes", (notes = []) => [...notes, String(form.get("note"))]);
    }),
};
