import { cookies } from "next/headers";
import { manager } from "../../sessions";

/**
 * A server component can read the session, and no more: its response is on its way, so that it can't set cookies, nor can
 * it renew a token or log out. What changes the session belongs in a route handler.
 */
export default async function Hello() {
  const session = await manager.load((await cookies()).get("session")?.value);
  return <p>{`Hello, ${session.userId ?? "stranger"}!`}</p>;
}
