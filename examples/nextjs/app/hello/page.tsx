import { cookies } from "next/headers";
import { manager } from "../../sessions";

/**
 * A server component can only read the session. Its response is already being sent, so it can't set cookies, renew a token or log out.
 * Change the session in a route handler.
 */
export default async function Hello() {
  const session = await manager.load((await cookies()).get("session")?.value);
  return <p>{`Hello, ${session.userId ?? "stranger"}!`}</p>;
}
