import { sessionContext } from "../sessions.server";
import type { Route } from "./+types/hello";

export function loader({ context }: Route.LoaderArgs) {
  return { user: context.get(sessionContext).userId };
}

export default function Hello({ loaderData }: Route.ComponentProps) {
  return <p>{`Hello, ${loaderData.user ?? "stranger"}!`}</p>;
}
