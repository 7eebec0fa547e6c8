import { refuseProperties } from "../session/idioms.ts";
import { stateOf, type Session } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";

/** A session that is loaded when it is first awaited: `const session = await manager.sessionOf(request)`. */
export class LazySession<Data = SessionData> implements PromiseLike<Session<Data>> {
  static {
    refuseProperties(this.prototype, (key) => `(await session).set(${key}, …)`);
  }

  readonly #load: () => Promise<Session<Data>>;
  #session: Promise<Session<Data>> | undefined;
  #loaded: Session<Data> | undefined;
  #isSealed = false;

  constructor(load: () => Promise<Session<Data>>) {
    this.#load = load;
  }

  /** Whether it was awaited; undefined: nobody has. */
  get asked(): Promise<Session<Data>> | undefined {
    return this.#session;
  }

  /** The session, once it was awaited and loaded. */
  get loaded(): Session<Data> | undefined {
    return this.#loaded;
  }

  /** The response's head leaves: when nobody has awaited the session by now, it can only be read from now on. */
  seal(): void {
    this.#isSealed = true;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- that is what it is for
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

/** What a request has: its session, or with `lazy: true` the promise of one. */
export type SessionFor<Data, Lazy extends boolean> = [Lazy] extends [true] ? LazySession<Data> : Session<Data>;
