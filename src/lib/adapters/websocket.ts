import type { IncomingMessage } from "node:http";
import { type Duration, OptionReader } from "../core/options.ts";
import { CsrfError } from "../core/errors.ts";
import { after, MAX_DELAY_MS, repeat } from "../core/time.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { RegisteredData, Session } from "../session/session.ts";
import type { SessionStatus } from "../session/state.ts";
import type { SessionData } from "../session/session-data.ts";
import { type OriginOptions, OriginRule } from "../http/same-origin.ts";

/** Options of `fromUpgrade`. */
export interface UpgradeOptions extends OriginOptions {
  /**
   * Interval of the checks for sessions that another process has ended. Ends in this process are noticed at once. Checks of many
   * sockets share their queries. 0: checks only when the session is due to expire. Default `"10s"`.
   */
  checkInterval?: Duration | undefined;
}

/** The session of an open WebSocket. */
export interface UpgradedSession<Data = RegisteredData> {
  /** The session as of the handshake or the last `reload()`. To store changes, call `manager.commit(session)`. */
  readonly session: Session<Data>;
  /**
   * Aborts when the session was destroyed, revoked, given a new token, or has expired. Close the socket then. It also aborts at the last known
   * expiry if the database can't be reached to ask for a later one.
   */
  readonly signal: AbortSignal;
  /** Reads the session again and resolves to it. A session that has ended is empty, and `signal` aborts. */
  reload(): Promise<Session<Data>>;
  /** Stops the checks. Call it when the socket closes. Idempotent. */
  close(): void;
}

/**
 * Loads the session of a WebSocket handshake from the request of Node's "upgrade" event or of the package `ws`.
 *
 * Browsers send cookies with handshakes from your other hosts, even with SameSite, and let the page read the messages. So a handshake from a
 * page of another host is refused unless `origins` or `sameSite` allow it. A handshake without an Origin does not come from a browser, and passes.
 *
 * Without a live session the result is a new, empty session whose signal never aborts, so check `session.userId`. Messages don't
 * extend `idleTimeout`. Requests do.
 *
 * @param options - `origins`, `sameSite`: hosts whose pages may connect. `checkInterval`: interval of the checks for an
 *   end
 * @returns the session. Close it with the socket
 * @throws CsrfError when a page of another host connects; StoreUnavailableError, StoreError or SchemaError when the
 *   store fails; TypeError when an option is wrong
 * @example
 * server.on("upgrade", async (req, socket) => {
 *   const live = await fromUpgrade(manager, req).catch(() => undefined);
 *   finished(socket, () => live?.close()); // of node:stream
 *   if (live?.session.userId === undefined) return socket.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
 * });
 */
export async function fromUpgrade<Data = SessionData, Lazy extends boolean = false>(
  manager: SessionManager<Data, Lazy>,
  request: IncomingMessage,
  options: UpgradeOptions = {},
): Promise<UpgradedSession<Data>> {
  const read = new OptionReader(options);
  const interval = read.duration("checkInterval", "10s", { max: MAX_DELAY_MS });
  const rule = new OriginRule(read);
  read.end();
  if (!rule.allowsHandshake(request)) throw new CsrfError("origin");

  const ended = new AbortController();
  const stops = new Set<() => void>();
  let isClosed = false;
  let disarm = (): void => {};
  const close = (): void => {
    isClosed = true;
    disarm();
    for (const stop of stops) stop();
  };
  const end = (): void => {
    if (isClosed) return;
    close();
    ended.abort(new DOMException("the session has ended", "AbortError"));
  };

  const { session: loaded, unwatch } = await manager.loadWatched(request.headers, end);
  let session = loaded;
  const presented = isLive(loaded) ? loaded.token : undefined;
  const readAgain = async (): Promise<Session<Data>> => {
    const found = await manager.load(presented);
    if (isLive(found)) await arm(found);
    else end();
    return found;
  };
  /** Schedules a check at the known expiry. If the database can't be reached then, the session counts as ended. */
  const arm = async (found: Session<Data>): Promise<void> => {
    const left = await manager.expiresIn(found);
    disarm();
    if (isClosed || left === undefined) return;
    disarm = after(Math.max(1, Math.ceil(left)), () => void readAgain().catch(end));
  };
  if (presented === undefined || isClosed) unwatch();
  else {
    stops.add(unwatch);
    if (interval > 0) stops.add(repeat(interval, async () => void (await readAgain())));
    await arm(loaded).catch((error: unknown) => {
      close();
      throw error;
    });
  }
  return {
    get session() {
      return session;
    },
    signal: ended.signal,
    reload: async () => {
      if (presented !== undefined) session = await readAgain();
      return session;
    },
    close,
  };
}

function isLive({ status }: { status: SessionStatus }): boolean {
  return status !== "new" && status !== "destroyed";
}
