import type { Handle, ServerInit } from "@sveltejs/kit";
import { store } from "$lib/server/sessions";

export const init: ServerInit = () => store.migrate();

/** SvelteKit leaves caching to the application: no shared cache may store a response that sets a cookie. */
export const handle: Handle = async ({ event, resolve }) => {
  const response = await resolve(event);
  if (response.headers.has("Set-Cookie")) response.headers.set("Cache-Control", "private, no-store");
  return response;
};
