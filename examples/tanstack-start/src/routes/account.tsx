import { createFileRoute, useRouter } from "@tanstack/react-router";
import { useServerFn } from "@tanstack/react-start";
import { getDevices, logOut, logOutEverywhere } from "../functions";

export const Route = createFileRoute("/account")({ loader: () => getDevices(), component: Account });

function Account() {
  const devices = Route.useLoaderData();
  const router = useRouter();
  const [leave, leaveEverywhere] = [useServerFn(logOut), useServerFn(logOutEverywhere)];
  const thenReload = (work: () => Promise<unknown>) => async (): Promise<void> => {
    await work();
    await router.invalidate();
  };
  return (
    <>
      <ul>
        {devices.map(({ id, created, current }) => (
          <li key={id}>{`Logged in at ${created.toISOString()}${current ? ", this browser" : ""}`}</li>
        ))}
      </ul>
      <button onClick={thenReload(() => leave())}>Log out</button>
      <button onClick={thenReload(() => leaveEverywhere())}>Log out everywhere</button>
    </>
  );
}
