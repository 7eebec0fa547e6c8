import { inSession } from "$lib/server/sessions";
import type { LayoutServerLoad } from "./$types";

export const load: LayoutServerLoad = (event) => inSession(event, ({ userId }) => ({ user: userId }));
