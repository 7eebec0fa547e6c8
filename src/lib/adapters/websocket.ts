import type { IncomingMessage } from "node:http";
import { type Duration, OptionReader } from "../core/options.ts";
import { CsrfError } from "../core/errors.ts";
import { after, MAX_DELAY_MS, repeat } from "../core/time.ts";
import type { SessionManager } from "../manager/session-manager.ts";
import type { Session } from "../session/session.ts";
import type { SessionStatus } from "../session/state.ts";
import type { SessionData } from "../session/session-data.ts";
import { type OriginOptions, OriginRule } from "../http/same-origin.ts";

/** Options of `fromUpgrade`. */
export interface UpgradeOptions extends OriginOptions {
  /**
   * How often it is looked whether another process has ended the session; what this process ends is noticed at once. A look shares its
   * query with others. 0: only when the session is to expire. Default `"10s"`.
   */
  checkInterval?: Duration | undefined;
}

/** The session of a WebSocket, for as long as that is open. */
export interface UpgradedSession<Data = SessionData> {
  /** As it was at the handshake, or at the last `reload()`. To store changes call `manager.commit(session)`. */
  readonly session: Session<Data>;
  /**
   * Aborts when the session has ended: destroyed, renewed under another token, or expired. It also aborts when the session was to expire and the
   * database can't be asked whether a request has moved that. Close the socket then.
   */
  readonly signal: AbortSignal;
  /** Reads the session again, and resolves to it. When it has ended, it is empty, and `signal` aborts. */
  reload(): Promise<Session<Data>>;
  /** Stops looking. Call it when the socket closes. Idempotent. */
  close(): void;
}

/**
 * Loads the session of a WebSocket's handshake: of the request that Node's "upgrade" event, or the package `ws`, gives.
 *
 * Browsers send cookies with handshakes from your other hosts, whatever SameSite says, and let pages read what comes back. So a handshake from a page
 * of another host is refused, unless `origins` or `sameSite` allow it. One without an Origin comes from no browser, and passes.
 *
 * A token that leads nowhere, or none, gives a session that is new and empty, whose signal doesn't abort: turn such a
 * client away by `session.userId`. Messages are no activity for `idleTimeout`; requests are.
 *
 * @param options - origins, sameSite: as of `csrfProtection`
 * @throws CsrfError when another host's page asks; StoreUnavailableError, StoreError or SchemaError when the store fails; TypeError when an
 *   option is wrong
 * @example
 * server.on("upgrade", async (req, socket) => {
 *   const live = await fromUpgrade(manager, req).catch(() => undefined);
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
  const look = async (): Promise<Session<Data>> => {
    const found = await manager.load(presented);
    if (isLive(found)) await arm(found);
    else end();
    return found;
  };
  /** Sees to it that the session doesn't outlive what is known of its expiry, whether or not the database can be asked then. */
  const arm = async (found: Session<Data>): Promise<void> => {
    const left = await manager.expiresIn(found);
    disarm();
    if (isClosed || left === undefined) return;
    disarm = after(Math.max(1, Math.ceil(left)), () => void look().catch(end));
  };
  if (presented === undefined || isClosed) unwatch();
  else {
    stops.add(unwatch);
    if (interval > 0) stops.add(repeat(interval, async () => void (await look())));
    await arm(loaded);
  }
  return {
    get session() {
      return session;
    },
    signal: ended.signal,
    reload: async () => {
      if (presented !== undefined) session = await look();
      return session;
    },
    close,
  };
}

function isLive({ status }: { status: SessionStatus }): boolean {
  return status !== "new" && status !== "destroyed";
}
