import type { Arg, Program, Step } from "./program.ts";

const call = (name: string, ...args: Arg[]): Step => ({ op: "call", name, args });
const text = (times: number): Arg => ({ kind: "text", unit: "a", times });
const program = (steps: Step[], more: Partial<Program> = {}): Program => ({
  method: "GET",
  version: "1.1",
  connection: "default",
  position: "only",
  session: "new",
  adapter: "connect",
  network: "stalled",
  listens: true,
  outer: [],
  inner: [],
  steps,
  ...more,
});

/** Programs by experiment, each of which has shown a fault of a held response once. */
export const KNOWN: Record<"held" | "held2" | "trouble", Program[]> = {
  held: [
    // A "drain" although nothing could be sent any more: the client had closed its half before.
    program([{ op: "stall" }, { op: "halfClose" }, call("end", text(20_000))], { method: "POST", inner: ["compress"] }),
  ],
  held2: [],
  trouble: [],
};
