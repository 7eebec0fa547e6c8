import { Outlet, type RouterContextProvider } from "react-router";
import { fetchHandler } from "pgstore/fetch";
import type { Route } from "./+types/root";
import { manager, sessionContext } from "./sessions.server";

type Context = Readonly<RouterContextProvider>;

const withSession = fetchHandler(manager, (_request, session, context: Context, next: () => Promise<Response>) => {
  context.set(sessionContext, session);
  return next();
});

export const middleware: Route.MiddlewareFunction[] = [
  ({ request, context }, next) => withSession(request, context, next),
];

export default function Root() {
  return (
    <html lang="en">
      <body>
        <Outlet />
      </body>
    </html>
  );
}
