import type { Socket } from "node:net";

const KEEPER = Symbol("pgstore keeper of a socket");
const UNGUARDED = Symbol("pgstore calls of a socket");

/** What is asked when a guarded socket is to be closed, and told when it is uncorked. */
export interface SocketKeeper {
  close(name: "destroy" | "end", args: unknown[]): void;
  noteCork(): void;
}

type HeldSocket = Socket & {
  [KEEPER]?: SocketKeeper | undefined;
  /** The calls that ours stand in front of, which may be the application's own. */
  [UNGUARDED]?: Pick<Socket, "destroy" | "end" | "uncork">;
};

/** Lets a keeper decide on the socket's calls, until `unguard`. */
export function guard(socket: HeldSocket, keeper: SocketKeeper): void {
  socket[KEEPER] = keeper;
  if (socket[UNGUARDED] !== undefined) return;
  // They stay in place for as long as the socket lives: others may have wrapped them, or be wrapped by them.
  const { destroy, end, uncork } = socket;
  socket[UNGUARDED] = { destroy, end, uncork };
  Object.assign(socket, { destroy: destroyHeld, end: endHeld, uncork: uncorkHeld });
}

/** Gives a socket that this keeper guards its calls back. */
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
