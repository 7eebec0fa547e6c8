import { sessionProxy } from "pgstore/next";
import { manager } from "./sessions";

/** A page can't set cookies. This extends the cookie of a remembered user who only looks at pages. */
export const proxy = sessionProxy(manager);

export const config = { matcher: "/((?!_next/|favicon.ico).*)" };
