import type { WhenGone } from "../session/asker.ts";

/** What of a response tells when it is closed. */
interface Closing {
  once(event: "close", listener: () => void): unknown;
  off(event: "close", listener: () => void): unknown;
}

/**
 * Notices that a client has gone: its response is closed before it was sent. Undefined for what passes for a response and tells
 * nothing, as the `{}` of an upgrade.
 */
export function whenClosed(response: unknown): WhenGone | undefined {
  const { once } = (response ?? {}) as Partial<Closing>;
  if (typeof once !== "function") return undefined;
  return (listener) => {
    (response as Closing).once("close", listener);
    return () => (response as Closing).off("close", listener);
  };
}
