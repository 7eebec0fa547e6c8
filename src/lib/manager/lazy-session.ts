import { refuseProperties } from "../session/idioms.ts";
import { stateOf, type Session } from "../session/session.ts";
import type { Register, SessionData } from "../session/session-data.ts";

/**
 * A session that is loaded when it is first awaited.
 *
 * @example
 * const session = await manager.sessionOf(request); // with the option lazy: true
 */
export class LazySession<Data = SessionData> implements PromiseLike<Session<Data>> {
  static {
    refuseProperties(this.prototype, (key) => `(await session).set(${key}, …)`);
  }

  readonly #load: () => Promise<Session<Data>>;
  #session: Promise<Session<Data>> | undefined;
  #loaded: Session<Data> | undefined;
  #isSealed = false;

  /** Defers a load until the session is awaited. */
  constructor(load: () => Promise<Session<Data>>) {
    this.#load = load;
  }

  /** The promise of the session. Undefined before it is first awaited. */
  get asked(): Promise<Session<Data>> | undefined {
    return this.#session;
  }

  /** The session. Undefined before it is loaded. */
  get loaded(): Session<Data> | undefined {
    return this.#loaded;
  }

  /** Makes a session that is loaded from now on read-only, because the response's head leaves. */
  seal(): void {
    this.#isSealed = true;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- made to be awaited
  then<A = Session<Data>, B = never>(
    fulfilled?: ((session: Session<Data>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return (this.#session ??= this.#begin()).then(fulfilled, rejected);
  }

  async #begin(): Promise<Session<Data>> {
    const isSealed = this.#isSealed;
    const session = await this.#load();
    if (isSealed) stateOf(session).seal("head");
    this.#loaded = session;
    return session;
  }
}

/** The type of `req.session` and the like: from the manager that `Register` names, otherwise `Session<SessionData>`. */
export type RequestSession = Register extends { manager: { sessionOf(request: object): infer Bound } }
  ? Bound
  : Session;

/** The session of a request, or with `lazy: true` a promise of it. */
export type SessionFor<Data, Lazy extends boolean> = [Lazy] extends [true] ? LazySession<Data> : Session<Data>;
