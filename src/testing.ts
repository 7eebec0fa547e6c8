export { testClock, type TestClock } from "./lib/testing/clock.ts";
export {
  as,
  cookieFor,
  type StorageState,
  type StoredCookie,
  type TestSession,
  type TestUser,
} from "./lib/testing/users.ts";
