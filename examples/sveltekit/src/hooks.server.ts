import type { Handle, ServerInit } from "@sveltejs/kit";
import { fetchHandler } from "pgstore/fetch";
import { manager, store } from "$lib/server/sessions";

export const init: ServerInit = () => store.migrate();

// Routes may throw redirect() and error(), which resolve() answers. In this file, return a Response instead.
const withSession = fetchHandler(manager, (_request, session, { event, resolve }: Parameters<Handle>[0]) => {
  event.locals.session = session;
  return resolve(event);
});

export const handle: Handle = (input) => withSession(input.event.request, input);
