import { fetchHandler } from "pgstore/fetch";
import { manager, seeHome } from "../../sessions";

export const POST = fetchHandler(manager, async (_request, session) => {
  await session.logout();
  return seeHome();
});
