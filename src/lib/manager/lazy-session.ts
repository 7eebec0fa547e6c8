import type { Session } from "../session/session.ts";
import type { SessionData } from "../session/session-data.ts";

/** A session that is loaded when it is first awaited: `const session = await manager.sessionOf(request)`. */
export class LazySession<Data = SessionData> implements PromiseLike<Session<Data>> {
  readonly #load: () => Promise<Session<Data>>;
  #session: Promise<Session<Data>> | undefined;

  constructor(load: () => Promise<Session<Data>>) {
    this.#load = load;
  }

  /** Whether it was awaited; undefined: nobody has. */
  get asked(): Promise<Session<Data>> | undefined {
    return this.#session;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- that is what it is for
  then<A = Session<Data>, B = never>(
    fulfilled?: ((session: Session<Data>) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return (this.#session ??= this.#load()).then(fulfilled, rejected);
  }
}

/** What a request has: its session, or with `lazy: true` the promise of one. */
export type SessionFor<Data, Lazy extends boolean> = [Lazy] extends [true] ? LazySession<Data> : Session<Data>;
