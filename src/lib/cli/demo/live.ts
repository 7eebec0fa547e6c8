import type { IncomingMessage, ServerResponse } from "node:http";
import { fromUpgrade } from "../../adapters/websocket.ts";
import type { SessionManager } from "../../manager/session-manager.ts";
import type { DemoSession } from "./actions.ts";

/** Time between two look-ups of a stream's session in the database, because another process may have revoked it. */
const CHECK_INTERVAL = "2s";

/** Streams of server-sent events to the demo's pages: the session has ended, or the user's devices have changed. */
export class LiveStreams {
  /** The open streams, each with its user. */
  readonly #open = new Map<ServerResponse, string | undefined>();

  /** Tells the pages of a user that their list of devices has changed. */
  devicesChanged(userId: string | undefined): void {
    if (userId === undefined) return;
    for (const [response, viewer] of this.#open) {
      if (viewer === userId && !response.writableEnded) response.write("event: devices\ndata:\n\n");
    }
  }

  /**
   * Answers a request for a stream. The stream lasts until the session ends or the page is closed. It ends at once if the browser now has
   * another session than the page shows.
   *
   * @param shown - the id of the session that the page shows
   */
  async open(
    manager: SessionManager<DemoSession>,
    shown: string | null,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const watched = await fromUpgrade(manager, request, { checkInterval: CHECK_INTERVAL });
    // The page may have been closed meanwhile.
    if (response.destroyed) return watched.close();
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.write("retry: 1000\n\n");
    const { session, signal } = watched;
    this.#open.set(response, session.userId);
    const ended = (): void => {
      if (!response.writableEnded) response.end("event: ended\ndata:\n\n");
    };
    response.once("close", () => {
      this.#open.delete(response);
      watched.close();
    });
    if (signal.aborted || session.id !== shown) ended();
    else signal.addEventListener("abort", ended);
  }

  /** Closes all streams, so that the server can stop. */
  close(): void {
    for (const response of this.#open.keys()) response.end();
  }
}
