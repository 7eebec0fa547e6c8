import { getSession } from "pgstore/next";
import type { ReactNode } from "react";
import { manager } from "../sessions";

export default async function Layout({ children }: { children: ReactNode }) {
  // The page below reads the same session, which costs no second query.
  const { userId } = await getSession(manager);
  return (
    <html lang="en">
      <head>
        <title>Notes</title>
      </head>
      <body>
        <header>{`Hello, ${userId ?? "stranger"}!`}</header>
        <main>{children}</main>
      </body>
    </html>
  );
}
