import type { IncomingMessage } from "node:http";
import { type Duration, parseDuration } from "../base/duration.ts";
import { LONGEST_DELAY, repeat } from "../base/timer.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { Session } from "../session/session.ts";
import type { SessionStatus } from "../session/record.ts";
import type { SessionData } from "../session/session-data.ts";

/** Options of `fromUpgrade`. */
export interface UpgradeOptions {
  /**
   * How often it is looked whether another process has ended the session, or its time has; what this process ends is
   * noticed at once. A look shares its query with others. 0: never. Default `"10s"`.
   */
  checkInterval?: Duration;
}

/** The session of a WebSocket, for as long as that is open. */
export interface UpgradedSession<Data = SessionData> {
  /** As it was at the handshake, or at the last `reload()`. To store changes call `manager.commit(session)`. */
  readonly session: Session<Data>;
  /** Aborts when the session has ended: destroyed, renewed under another token, or expired. Close the socket then. */
  readonly signal: AbortSignal;
  /** Reads the session again, and resolves to it. When it has ended, it is empty, and `signal` aborts. */
  reload(): Promise<Session<Data>>;
  /** Stops looking. Call it when the socket closes. Idempotent. */
  close(): void;
}

/**
 * Loads the session of a WebSocket's handshake: of the request that Node's "upgrade" event, or the package `ws`, gives.
 *
 * A token that leads nowhere, or none, gives a session that is new and empty, whose signal doesn't abort: turn such a
 * client away by `session.userId`. Messages are no activity for `idleTimeout`; requests are.
 *
 * @throws StoreUnavailableError and the others of `manager.load`; TypeError when an option is wrong
 */
export async function fromUpgrade<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
  request: IncomingMessage,
  options: UpgradeOptions = {},
): Promise<UpgradedSession<Data>> {
  const interval = parseDuration("checkInterval", options.checkInterval ?? "10s");
  if (interval > LONGEST_DELAY) throw new TypeError(`checkInterval: must be at most ${LONGEST_DELAY} ms`);
  let session = await manager.loadFrom(request.headers);
  const presented = isLive(session) ? session.token : undefined;
  const ended = new AbortController();
  const close = (): void => {
    unwatch();
    stop();
  };
  const end = (): void => {
    close();
    ended.abort(new DOMException("the session has ended", "AbortError"));
  };
  const reload = async (): Promise<Session<Data>> => {
    if (presented === undefined) return session;
    session = await manager.load(presented);
    if (!isLive(session)) end();
    return session;
  };
  const unwatch = presented === undefined ? () => {} : manager.watch(session, end);
  const look = async (): Promise<void> => {
    if (presented !== undefined && !isLive(await manager.load(presented))) end();
  };
  const stop = presented === undefined || interval === 0 ? () => {} : repeat(interval, look);
  return {
    get session() {
      return session;
    },
    signal: ended.signal,
    reload,
    close,
  };
}

function isLive({ status }: { status: SessionStatus }): boolean {
  return status !== "new" && status !== "destroyed";
}
