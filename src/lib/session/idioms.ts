/**
 * Sessions of express-session, cookie-session and koa-session are plain objects with callbacks; ours are not. What such code does
 * to one of ours must not be lost in silence: it throws a TypeError that names what to call instead.
 *
 * A Proxy behind the prototype sees a property that is set on a session and that no class declares. Methods and accessors are
 * found before it, so it costs them nothing.
 */

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/** Of members that ours have: what an assignment to them was meant to do. */
const ASSIGNED: Record<string, string> = {
  userId: "await session.login(userId)",
  token: "await session.renewToken()",
  deadline: "session.setDeadline(date)",
  loggedInAt: "await session.reauthenticate()",
  tags: "await session.login(userId, { tags })",
};

/** Methods of theirs. */
const METHODS: Record<string, string> = {
  regenerate:
    "await session.login(userId) where a user logs in, await session.renewToken() elsewhere; a library that calls it, as Passport " +
    "does, needs express-session, with the ExpressSessionStore of pgstore/express-session",
  reload: "await manager.load(session.token)",
  touch: "session.setDeadline(date); the manager's option idleTimeout counts every request by itself",
  resetMaxAge: "session.setDeadline(date); the manager's option idleTimeout counts every request by itself",
  manuallyCommit: "await session.save()",
  renew: "await session.reset(), as it is called now",
};

/** Properties of theirs. */
const PROPERTIES: Record<string, string> = {
  cookie: "session.rememberMe(true) and session.setDeadline(date); the rest are the manager's options",
  maxAge: "session.rememberMe(true) and session.setDeadline(date)",
  isNew: 'session.status === "new"',
  isChanged: 'session.status === "modified"',
  isPopulated: "session.size > 0",
  populated: "session.size > 0",
};

/** Methods of ours that were given a callback there. */
const PROMISING = new Set(["save", "destroy", "logout", "reset", "renewToken", "login", "reauthenticate"]);
/** A callback of these may be told of the error: who overlooks it has lost nothing. A log-out or login may not be overlooked. */
const TELLING = new Set(["save", "regenerate", "reload"]);

/**
 * Lets an assignment to a property that the class doesn't declare throw.
 *
 * @param instead - what to call instead, with the property's name as a JavaScript text
 */
export function refuseProperties(prototype: object, instead: (key: string) => string): void {
  const refusing = new Proxy(
    {},
    {
      set(target, key, value, receiver) {
        // Symbols are tools': they know what they do.
        if (typeof key === "symbol" || receiver === prototype) return Reflect.set(target, key, value, receiver);
        throw new TypeError(`session.${key} = … stores nothing: call ${instead(JSON.stringify(key))}`);
      },
    },
  );
  Object.setPrototypeOf(prototype, refusing);
}

/** Lets the idioms of those packages throw. */
export function refuseIdioms(prototype: object): void {
  for (const [name, { value, get }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === "constructor") continue;
    const method = PROMISING.has(name) ? withoutCallback(name, value as AnyFunction) : (value as AnyFunction);
    define(prototype, name, get ?? (() => method), ASSIGNED[name] ?? `session.set(${JSON.stringify(name)}, …)`);
  }
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
  // Promises ask each session for it: they need not go as far as the Proxy.
  // oxlint-disable-next-line unicorn/no-thenable -- it is undefined, as without it
  Object.defineProperty(prototype, "then", { value: undefined });
  refuseProperties(prototype, (key) => `session.set(${key}, …)`);
}

function define(prototype: object, name: string, get: () => unknown, instead: string): void {
  const set = (): never => {
    throw new TypeError(`session.${name} = … stores nothing: call ${instead}`);
  };
  Object.defineProperty(prototype, name, { get, set, enumerable: false, configurable: true });
}

function withoutCallback(name: string, method: AnyFunction): AnyFunction {
  return function (...args) {
    if (args.some(isFunction)) return fail(name, `it takes no callback, call await session.${name}()`, args);
    return method.apply(this, args);
  };
}

/** At once, as a promise's rejection would be nobody's; a callback that takes an error may stand where nobody catches one. */
function fail(name: string, reason: string, args: unknown[]): void {
  const error = new TypeError(`session.${name}: ${reason}`);
  const callback = args.find(isFunction);
  if (callback === undefined || callback.length === 0 || !TELLING.has(name)) throw error;
  callback(error);
}

function isFunction(value: unknown): value is (error: unknown) => void {
  return typeof value === "function";
}
