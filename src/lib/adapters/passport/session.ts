import { hostOf, Session, stateOf, UNWRAPPED } from "../../session/session.ts";
import type { SessionData } from "../../session/session-data.ts";
import { asError } from "../node-error.ts";
import { PassportBinding, storable } from "./binding.ts";
import type { ResolvedPassport } from "./options.ts";

type Callback = (error?: unknown) => void;

/**
 * A session as Passport expects it: its values are properties, too, and the methods of express-session that Passport calls take callbacks.
 * The names of the session's own methods and properties, such as `id` and `keys`, are not available for values.
 */
export type PassportSession<Data = SessionData> = Session<Data> & {
  /**
   * Continues with an empty session under a new token, which the next `save` or the response's commit stores. Without a callback it returns
   * a promise. @param keep - keys whose values stay
   */
  regenerate(callback: Callback): void;
  regenerate(keep: readonly string[], callback: Callback): void;
  regenerate(keep?: readonly string[]): Promise<void>;
  /** Stores the session now. Later changes are allowed. */
  save(callback: Callback): void;
  /** Ends the session at once. */
  destroy(callback: Callback): void;
  /** Returns all values in a new object. */
  data(): Record<string, unknown>;
  // oxlint-disable-next-line typescript/no-explicit-any -- Passport's strategies keep values of their own there
  [key: string]: any;
};

/** The wrapper of each session. */
const wrappers = new WeakMap<object, Wrapper>();

/** Returns a session as Passport expects it: the same object until the session is regenerated. */
export function passportSession<Data>(session: Session<Data>, options: ResolvedPassport): PassportSession<Data> {
  let wrapper = wrappers.get(session);
  if (wrapper === undefined) wrappers.set(session, (wrapper = new Wrapper(session, options)));
  return wrapper.current as PassportSession<Data>;
}

/** The values of a session that was regenerated. Passport reads them with `keepSessionInfo`. */
type Detached = Map<string, unknown>;

/** Wraps a session in a Proxy, and in another one after each regeneration. */
class Wrapper {
  readonly #session: Session<Record<string, unknown>>;
  readonly #binding: PassportBinding;
  readonly #key: string;
  readonly #methods: ReadonlyMap<PropertyKey, unknown>;
  readonly #bound = new Map<PropertyKey, unknown>();
  #detach: (values: Detached) => void = () => {};
  #current: object;

  /** Wraps a session. */
  constructor(session: object, options: ResolvedPassport) {
    this.#session = session as Session<Record<string, unknown>>;
    this.#binding = new PassportBinding(stateOf(session), hostOf(session), options);
    this.#key = options.key;
    this.#methods = new Map<PropertyKey, unknown>([
      ["regenerate", (...args: unknown[]) => this.#regenerate(args)],
      ["save", (callback?: Callback) => answer(callback ? this.#binding.save() : this.#session.save(), callback)],
      ["destroy", (callback?: Callback) => answer(this.#session.destroy(), callback)],
      ["data", () => Object.fromEntries(this.#entries())],
      ["set", (key: string, value: unknown) => (this.#set(key, value), this.#current)],
    ]);
    this.#current = this.#wrap();
  }

  /** The session since the last regeneration. */
  get current(): object {
    return this.#current;
  }

  #regenerate(args: unknown[]): Promise<void> | void {
    const keep = args.find((arg) => Array.isArray(arg)) as readonly string[] | undefined;
    const callback = args.find((arg) => typeof arg === "function") as Callback | undefined;
    return answer(this.#regenerateNow(keep ?? []), callback);
  }

  async #regenerateNow(keep: readonly string[]): Promise<void> {
    const values: Detached = new Map(this.#entries());
    await this.#binding.regenerate(keep);
    this.#detach(values);
    this.#current = this.#wrap();
  }

  #entries(): [key: string, value: unknown][] {
    return this.#session.keys().map((key) => [key, this.#session.get(key)]);
  }

  #wrap(): object {
    let detached: Detached | undefined;
    this.#detach = (values) => (detached = values);
    const values = (): Detached | Session<Record<string, unknown>> => detached ?? this.#session;
    return new Proxy(Object.create(Session.prototype) as object, {
      get: (_target, key) => (this.#isValue(key) ? values().get(key) : this.#own(key)),
      set: (_target, key, value) => {
        // The session's own members say what to call instead.
        if (!this.#isValue(key)) return Reflect.set(this.#session, key, value);
        if (detached === undefined) this.#set(key, value);
        else detached.set(key, value);
        return true;
      },
      has: (_target, key) => !this.#isValue(key) || values().has(key),
      deleteProperty: (_target, key) => {
        if (this.#isValue(key) && values().has(key)) values().delete(key);
        return true;
      },
      ownKeys: () => [...values().keys()],
      getOwnPropertyDescriptor: (_target, key) =>
        typeof key === "symbol" || !values().has(key)
          ? undefined
          : { value: values().get(key), writable: true, enumerable: true, configurable: true },
      defineProperty: () => false,
    });
  }

  /** Whether a name belongs to a value, not to a method or a property of the session. */
  #isValue(key: PropertyKey): key is string {
    return typeof key === "string" && !this.#methods.has(key) && !(key in Session.prototype);
  }

  #own(key: PropertyKey): unknown {
    if (key === UNWRAPPED) return this.#session;
    const method = this.#methods.get(key) ?? this.#bound.get(key);
    if (method !== undefined) return method;
    const value: unknown = Reflect.get(this.#session, key);
    if (typeof value !== "function" || key === "constructor") return value;
    const bound: unknown = value.bind(this.#session);
    this.#bound.set(key, bound);
    return bound;
  }

  #set(key: string, value: unknown): void {
    if (key === this.#key) this.#binding.noteAssignment();
    if (value === undefined) {
      if (this.#session.has(key)) this.#session.delete(key);
    } else this.#session.set(key, key === this.#key ? storable(key, value) : value);
  }
}

/** Passes a promise's outcome to a callback, outside of the promise. Without a callback it returns the promise. */
function answer(promise: Promise<void>, callback: Callback | undefined): Promise<void> | void {
  if (typeof callback !== "function") return promise;
  promise.then(
    () => queueMicrotask(() => callback()),
    (error: unknown) => queueMicrotask(() => callback(asError(error))),
  );
}
