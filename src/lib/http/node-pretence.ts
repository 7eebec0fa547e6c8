import type { ServerResponse } from "node:http";

/** What a response says of itself while calls to it are kept: to the application its head has been sent. */
export interface Pretence {
  active: boolean;
  /** `end` was among the calls. */
  ended: boolean;
  /** Of another wrapper of the same response. */
  below?: Pretence | undefined;
}

const PRETENCE = Symbol("pgstore pretence");

type Response = ServerResponse & { [PRETENCE]?: Pretence | undefined };

/** Lets a pretence have its say in `headersSent` and `writableEnded`, whenever it is active. Once for each pretence. */
export function install(response: ServerResponse, pretence: Pretence): void {
  const { [PRETENCE]: below } = response as Response;
  pretence.below = below;
  (response as Response)[PRETENCE] = pretence;
  // The same functions for all, and never taken off: others would give each response a shape of its own, and make every
  // access to it slow.
  if (below === undefined) Object.defineProperties(response, PROPERTIES);
}

const PROPERTIES: PropertyDescriptorMap & ThisType<Response> = {
  headersSent: {
    configurable: true,
    enumerable: true,
    get() {
      return activeOne(this) !== undefined || truly(this, "headersSent");
    },
  },
  writableEnded: {
    configurable: true,
    enumerable: true,
    get() {
      return activeOne(this)?.ended ?? truly(this, "writableEnded");
    },
  },
};

function activeOne(response: Response): Pretence | undefined {
  let pretence = response[PRETENCE];
  while (pretence !== undefined && !pretence.active) pretence = pretence.below;
  return pretence;
}

/** What Node itself says, of HTTP/1 or HTTP/2. */
function truly(response: Response, name: "headersSent" | "writableEnded"): boolean {
  return Reflect.get(Object.getPrototypeOf(response) as object, name, response) as boolean;
}
