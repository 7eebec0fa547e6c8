/** Assigns as a module without "use strict" does: what such a module would refuse in silence must throw all the same. */
// oxlint-disable-next-line typescript/no-implied-eval -- modules are strict, only this is not
export const assignSloppily = new Function("target", "name", "value", "target[name] = value") as (
  target: object,
  name: string,
  value: unknown,
) => void;
