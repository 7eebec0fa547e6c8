/*
 * Sessions of express-session, cookie-session and koa-session are plain objects with callbacks. Code written for them would silently do
 * nothing on a `Session`, so it throws a TypeError that names the call to make instead.
 *
 * A Proxy behind the prototype sees assignments to properties that the class does not declare. Methods and accessors are found before it,
 * so it costs them nothing.
 *
 * Why: docs/decisions/031-idioms-of-other-packages.md
 */

/** The call to make instead of assigning to a member of `Session`. */
const ASSIGNED: Record<string, string> = {
  userId: "await session.login(userId)",
  token: "await session.renewToken()",
  deadline: "session.setDeadline(date)",
  loggedInAt: "await session.reauthenticate()",
  tags: "await session.login(userId, { tags })",
};

/** The call to make instead of a method of those packages. */
const METHODS: Record<string, string> = {
  regenerate:
    "await session.login(userId) where a user logs in, await session.renewToken() elsewhere; for Passport, set the " +
    "adapter's option passport: true",
  reload: "await manager.load(session.token)",
  touch: "session.setDeadline(date); the manager's option idleTimeout counts every request by itself",
  resetMaxAge: "session.setDeadline(date); the manager's option idleTimeout counts every request by itself",
  manuallyCommit: "await session.save()",
  renew: "await session.reset()",
};

/** The replacement of a property of those packages. */
const PROPERTIES: Record<string, string> = {
  cookie: "session.rememberMe(true), session.setDeadline(date) and the manager's option cookie",
  maxAge: "session.rememberMe(true) and session.setDeadline(date)",
  isNew: 'session.status === "new"',
  isChanged: 'session.status === "modified"',
  isPopulated: "session.size > 0",
  populated: "session.size > 0",
};

/** Methods that take a callback in those packages and return a promise here. */
const PROMISING = new Set(["save", "destroy", "logout", "reset", "renewToken", "login", "reauthenticate"]);
/** Methods whose callback gets the error. Other methods throw it, as a failed login must not be overlooked. */
const TELLING = new Set(["save", "regenerate", "reload"]);

/**
 * Makes assignments to undeclared properties throw.
 *
 * @param instead - returns the call to make instead, for a property's name as a JavaScript literal
 */
export function refuseProperties(prototype: object, instead: (key: string) => string): void {
  const refusing = new Proxy(
    {},
    {
      set(target, key, value, receiver) {
        // Tools such as debuggers use symbols.
        if (typeof key === "symbol" || receiver === prototype) return Reflect.set(target, key, value, receiver);
        throw new TypeError(`session.${key} = … stores nothing: call ${instead(JSON.stringify(key))}`);
      },
    },
  );
  Object.setPrototypeOf(prototype, refusing);
}

/** Makes the members that only those packages have throw. */
export function refuseIdioms(prototype: object): void {
  for (const [name, instead] of Object.entries(METHODS)) {
    const refuse = (...args: unknown[]): void => fail(name, `there is no such method, call ${instead}`, args);
    define(prototype, name, () => refuse, instead);
  }
  for (const [name, instead] of Object.entries(PROPERTIES)) {
    const refuse = (): never => {
      throw new TypeError(`session.${name}: there is no such property, see ${instead}`);
    };
    define(prototype, name, refuse, instead);
  }
  // Promises look `then` up on each session. Defined here, it never reaches the Proxy.
  // oxlint-disable-next-line unicorn/no-thenable -- undefined, so not a thenable
  Object.defineProperty(prototype, "then", { value: undefined });
  refuseProperties(prototype, (key) => `session.set(${key}, …)`);
}

/** Makes assignments to a member of `Session` throw. @param get - returns the member's value */
export function refuseAssignment(prototype: object, name: string, get: () => unknown): void {
  define(prototype, name, get, ASSIGNED[name] ?? `session.set(${JSON.stringify(name)}, …)`);
}

function define(prototype: object, name: string, get: () => unknown, instead: string): void {
  const set = (): never => {
    throw new TypeError(`session.${name} = … stores nothing: call ${instead}`);
  };
  Object.defineProperty(prototype, name, { get, set, enumerable: false, configurable: true });
}

/** Makes a method that returns a promise throw when it gets a callback. Returns other members unchanged. */
export function refuseCallback(name: string, member: unknown): unknown {
  if (!PROMISING.has(name)) return member;
  return function (this: unknown, ...args: unknown[]): unknown {
    if (args.some(isFunction)) return fail(name, `it takes no callback, call await session.${name}()`, args);
    return (member as (...args: unknown[]) => unknown).apply(this, args);
  };
}

/** Throws at once, as callback code does not handle rejections. A callback that takes an error gets it where `TELLING` allows. */
function fail(name: string, reason: string, args: unknown[]): void {
  const error = new TypeError(`session.${name}: ${reason}`);
  const callback = args.find(isFunction);
  if (callback === undefined || callback.length === 0 || !TELLING.has(name)) throw error;
  callback(error);
}

function isFunction(value: unknown): value is (error: unknown) => void {
  return typeof value === "function";
}
