import { RedisStore } from "connect-redis";
import type { App } from "./app.ts";
import { onNode } from "./express-session.ts";

export const withRedis = (disableTouch: boolean): App =>
  onNode(async ({ redis }) => new RedisStore({ client: await redis(), disableTouch }));
