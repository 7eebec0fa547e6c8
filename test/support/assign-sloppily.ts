/** Assigns a property like a module without "use strict", in which a failed assignment is silent. */
// oxlint-disable-next-line typescript/no-implied-eval -- modules are strict, only this is not
export const assignSloppily = new Function("target", "name", "value", "target[name] = value") as (
  target: object,
  name: string,
  value: unknown,
) => void;
