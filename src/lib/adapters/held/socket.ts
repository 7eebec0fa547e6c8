import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

const KEEPER = Symbol("pgstore keeper of a socket");
const UNGUARDED = Symbol("pgstore calls of a socket");

/** Decides on the calls that close a guarded socket, and learns when it is uncorked. */
export interface SocketKeeper {
  close(name: "destroy" | "end", args: unknown[]): void;
  noteCork(): void;
}

type HeldSocket = Socket & {
  [KEEPER]?: SocketKeeper | undefined;
  /** The overridden methods, which the application may itself have overridden. */
  [UNGUARDED]?: Pick<Socket, "destroy" | "end" | "uncork">;
};

/** Lets a keeper decide on the calls that close the socket, until `unguard`. */
export function guard(socket: HeldSocket, keeper: SocketKeeper): void {
  socket[KEEPER] = keeper;
  if (socket[UNGUARDED] !== undefined) return;
  // The overrides stay for the socket's life, because other code may have wrapped them by the time they could be removed.
  const { destroy, end, uncork } = socket;
  socket[UNGUARDED] = { destroy, end, uncork };
  Object.assign(socket, { destroy: destroyHeld, end: endHeld, uncork: uncorkHeld });
}

/** Ends this keeper's guard of a socket. */
export function unguard(socket: HeldSocket | null, keeper: SocketKeeper): void {
  if (socket?.[KEEPER] === keeper) socket[KEEPER] = undefined;
}

function destroyHeld(this: HeldSocket, ...args: unknown[]): Socket {
  return passOrClose(this, "destroy", args);
}

function endHeld(this: HeldSocket, ...args: unknown[]): Socket {
  return passOrClose(this, "end", args);
}

function passOrClose(socket: HeldSocket, name: "destroy" | "end", args: unknown[]): Socket {
  const { [KEEPER]: keeper, [UNGUARDED]: own } = socket;
  if (keeper === undefined) Reflect.apply(own?.[name] as () => unknown, socket, args);
  else keeper.close(name, args);
  return socket;
}

function uncorkHeld(this: HeldSocket): void {
  this[UNGUARDED]?.uncork.call(this);
  this[KEEPER]?.noteCork();
}

/**
 * Says whether a response is captured by a program in this process, such as an adapter for cloud functions, instead of sent to a network.
 * Such a program takes the output as soon as `writableEnded` is true.
 */
export function isCaptured({ socket }: ServerResponse): boolean {
  return socket != null && (socket as { server?: unknown }).server === undefined;
}
