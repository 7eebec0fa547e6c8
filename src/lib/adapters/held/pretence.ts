import type { ServerResponse } from "node:http";

/** What a response says of itself while calls to it are kept: to the application its head has been sent. */
export interface Pretence {
  active: boolean;
  /** `end` was among the calls. */
  ended: boolean;
}

const PRETENCE = Symbol("pgstore pretence");

type Response = ServerResponse & { [PRETENCE]?: Pretence };

/**
 * Says whether a response goes to a program in this process and to no network: an adapter for functions in the cloud, say.
 * Such a program takes the output when the response says that it has ended.
 */
export function isCaptured({ socket }: ServerResponse): boolean {
  return socket != null && (socket as { server?: unknown }).server === undefined;
}

/** Lets a pretence have its say in `headersSent`, `finished` and `writableEnded`, whenever it is active. */
export function install(response: ServerResponse, pretence: Pretence): void {
  (response as Response)[PRETENCE] = pretence;
  // Node has a plain property here, HTTP/2 an accessor.
  let finished = Object.getOwnPropertyDescriptor(response, "finished")?.value as boolean | undefined;
  Object.defineProperties(response, PROPERTIES);
  Object.defineProperty(response, "finished", {
    configurable: true,
    get: () => (pretence.active ? pretence.ended : (finished ?? truly(response, "finished"))),
    set: (value: boolean) => {
      finished = value;
    },
  });
}

const PROPERTIES: PropertyDescriptorMap & ThisType<Response> = {
  headersSent: {
    configurable: true,
    enumerable: true,
    get() {
      return this[PRETENCE]?.active === true || truly(this, "headersSent");
    },
  },
  writableEnded: {
    configurable: true,
    enumerable: true,
    get() {
      const { active = false, ended = false } = this[PRETENCE] ?? {};
      return active ? ended && !isCaptured(this) : truly(this, "writableEnded");
    },
  },
};

/** What the class of the response says. */
function truly(response: Response, name: "headersSent" | "writableEnded" | "finished"): boolean {
  return Reflect.get(Object.getPrototypeOf(response) as object, name, response) as boolean;
}
