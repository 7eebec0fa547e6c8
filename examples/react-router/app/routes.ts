import { index, route, type RouteConfig } from "@react-router/dev/routes";

export default [
  index("routes/home.ts"),
  route("login", "routes/login.ts"),
  route("notes", "routes/notes.ts"),
  route("logout", "routes/logout.ts"),
  route("hello", "routes/hello.tsx"),
] satisfies RouteConfig;
