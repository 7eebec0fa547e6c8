import { createRootRoute, HeadContent, Outlet, Scripts } from "@tanstack/react-router";
import { getVisitor } from "../functions";

export const Route = createRootRoute({
  head: () => ({ meta: [{ title: "Notes" }], links: [{ rel: "icon", href: "data:," }] }),
  loader: () => getVisitor(),
  component: Root,
  notFoundComponent: () => <p>There is no such page.</p>,
});

function Root() {
  const { user } = Route.useLoaderData();
  return (
    <html lang="en">
      <head>
        <HeadContent />
      </head>
      <body>
        <header>{`Hello, ${user ?? "stranger"}!`}</header>
        <main>
          <Outlet />
        </main>
        <Scripts />
      </body>
    </html>
  );
}
