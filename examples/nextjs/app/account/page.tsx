import { redirect } from "next/navigation";
import { getSession } from "pgstore/next";
import { manager } from "../../sessions";
import { logOut, logOutEverywhere } from "../actions";

export default async function Account() {
  const session = await getSession(manager);
  if (session.userId === undefined) redirect("/");
  const devices = await manager.listByUser(session.userId, { current: session });
  return (
    <>
      <ul>
        {devices.map(({ id, created, current }) => (
          <li key={id}>{`Logged in at ${created.toISOString()}${current ? ", this browser" : ""}`}</li>
        ))}
      </ul>
      <form>
        <button formAction={logOut}>Log out</button>
        <button formAction={logOutEverywhere}>Log out everywhere</button>
      </form>
    </>
  );
}
