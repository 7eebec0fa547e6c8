import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { assertValue, cloneValue, equalValues, MAX_DEPTH, type Value } from "../../src/lib/core/value.ts";

class Cart {
  items = [];
}

function nested(depth: number): Value {
  let value: Value = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

function cycle(): unknown {
  const object: Record<string, unknown> = {};
  object["list"] = [object];
  return object;
}

const withProperty = Object.assign([1], { extra: 1 });
const bare: object = Object.assign(Object.create(null) as object, { a: 1 });

describe("assertValue", () => {
  const shared = { a: [1] };
  const scalars = ["", "text", "\ud800", 0, -0, 1.5, -1e308, true, null, 0n, 10n ** 40n];
  const instances = [new Date(0), new Uint8Array(2), Buffer.from("x")];
  const containers = [[], [[], [null]], {}, { a: { b: [1n, new Date()] } }, bare, [shared, shared, { shared }]];
  const foreign: unknown = runInNewContext("({ a: [1] })");
  const names: unknown = JSON.parse('{"__proto__":1,"constructor":2,"toJSON":3}');
  it.each([
    ...scalars,
    ...instances,
    ...containers,
    foreign,
    names,
    10n ** 1000n - 1n,
    1n - 10n ** 1000n,
    nested(MAX_DEPTH),
  ])("accepts %o", (value) => {
    expect(() => assertValue("k", value)).not.toThrow();
  });

  it.each([
    ["undefined", undefined, "undefined"],
    ["a function", () => 1, "a function"],
    ["a symbol", Symbol("s"), "a symbol"],
    ["NaN", Number.NaN, "NaN"],
    ["Infinity", Infinity, "Infinity"],
    ["-Infinity", -Infinity, "-Infinity"],
    ["an invalid Date", new Date(Number.NaN), "an invalid Date"],
    ["a class's instance", new Cart(), "an instance of Cart"],
    ["a Map", new Map(), "an instance of Map"],
    ["a Set", new Set(), "an instance of Set"],
    ["a RegExp", /x/, "an instance of RegExp"],
    ["an Error", new Error("x"), "an instance of Error"],
    ["a Promise", Promise.resolve(), "an instance of Promise"],
    ["a boxed string", Object("x"), "an instance of String"],
    ["another typed array", new Float64Array(1), "an instance of Float64Array"],
    ["a clamped array", new Uint8ClampedArray(1), "an instance of Uint8ClampedArray"],
    ["an ArrayBuffer", new ArrayBuffer(1), "an instance of ArrayBuffer"],
    ["an object over a literal", Object.create({ a: 1 }), "an instance of Object"],
    ["a symbol key", { [Symbol("s")]: 1 }, "a symbol key"],
    // oxlint-disable-next-line no-sparse-arrays
    ["an array with holes", [1, , 2], "an array with holes or properties"],
    ["an array with properties", withProperty, "an array with holes or properties"],
    ["a cycle", cycle(), "a cycle"],
    ["deep nesting", nested(MAX_DEPTH + 1), `nesting deeper than ${MAX_DEPTH}`],
    ["a bigint that scsJson would not read", 10n ** 1000n, "a bigint of more than 1,000 digits"],
    ["a negative one", -(10n ** 1000n), "a bigint of more than 1,000 digits"],
    ["very deep nesting", nested(100_000), `nesting deeper than ${MAX_DEPTH}`],
  ])("refuses %s, naming the key", (_, value, what) => {
    const attempt = () => assertValue('the "key"', value);
    expect(attempt).toThrow(TypeError);
    expect(attempt).toThrow(`session key "the \\"key\\"": ${what} can't be stored`);
    expect(() => assertValue("k", [value])).toThrow(what);
    expect(() => assertValue("k", { a: value })).toThrow(what);
  });

  it("names the path to a nested value, and no path for the value itself", () => {
    expect(() => assertValue("cart", { items: [1, { price: Number.NaN }] })).toThrow(
      /^session key "cart": NaN .* \(at items\[1\]\.price\)$/,
    );
    expect(() => assertValue("cart", [[undefined]])).toThrow(/\(at \[0\]\[0\]\)$/);
    expect(() => assertValue("cart", cycle())).toThrow(/\(at list\[0\]\)$/);
    expect(() => assertValue("cart", new Map())).toThrow(/can't be stored$/);
  });
});

describe("cloneValue", () => {
  const value = (): Value => ({
    list: [1, "x", null, true, 2n ** 70n, -0],
    at: new Date(5),
    bytes: Uint8Array.of(1, 2),
    deep: { ["__proto__"]: { a: [[]] } },
  });

  it("copies every kind of value", () => {
    expect(equalValues(cloneValue(value()), value())).toBe(true);
    expect(Object.keys(cloneValue({ b: 1, a: 2 }) as object)).toEqual(["b", "a"]);
    for (const scalar of ["x", -0, true, null, 5n]) expect(cloneValue(scalar)).toBe(scalar);
  });

  it("shares nothing with the original", () => {
    const original = value() as { list: Value[]; at: Date; bytes: Uint8Array; deep: { [key: string]: Value } };
    const copy = cloneValue(original);
    original.list.push(1);
    original.at.setTime(6);
    original.bytes[0] = 9;
    original.deep["more"] = 1;
    expect(equalValues(copy, value())).toBe(true);
  });

  it("keeps __proto__ a plain key", () => {
    const copy = cloneValue(JSON.parse('{"__proto__":{"admin":true}}') as Value) as Record<string, unknown>;
    expect(Object.keys(copy)).toEqual(["__proto__"]);
    expect(copy["admin"]).toBeUndefined();
  });

  it("makes plain bytes of a Buffer", () => {
    const copy = cloneValue(Buffer.from("x"));
    expect(Buffer.isBuffer(copy)).toBe(false);
    expect(copy).toEqual(Uint8Array.of(120));
  });
});

describe("equalValues", () => {
  it.each([
    [1, 1],
    [-0, -0],
    ["a", "a"],
    [5n, 5n],
    [null, null],
    [Number.NaN, Number.NaN],
    [new Date(1), new Date(1)],
    [new Date(Number.NaN), new Date(Number.NaN)],
    [Uint8Array.of(1, 2), Buffer.from([1, 2])],
    [[], []],
    [
      [1, [2, { a: 3 }]],
      [1, [2, { a: 3 }]],
    ],
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
    [{ a: 1 }, bare],
  ])("finds %o and %o equal", (a, b) => {
    expect(equalValues(a, b)).toBe(true);
    expect(equalValues(b, a)).toBe(true);
  });

  it.each([
    [0, -0],
    [1, 1n],
    [1, "1"],
    [null, undefined],
    [null, {}],
    [[], {}],
    [[0], { 0: 0 }],
    [[1], [1, 2]],
    [
      [1, 2],
      [2, 1],
    ],
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: undefined }, { b: undefined }],
    [{ a: 1 }, { b: 1 }],
    [{ toString: 1 }, { a: 1 }],
    [new Date(1), new Date(2)],
    [new Date(1), {}],
    [new Date(1), 1],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [Uint8Array.of(1), Uint8Array.of(2)],
    [Uint8Array.of(1), Uint8Array.of(1, 2)],
    [Uint8Array.of(1), [1]],
    [Uint8Array.of(), {}],
    [JSON.parse('{"__proto__":1}'), {}],
    [JSON.parse('{"__proto__":{}}'), { a: {} }],
  ])("finds %o and %o different", (a, b) => {
    expect(equalValues(a, b)).toBe(false);
    expect(equalValues(b, a)).toBe(false);
  });
});
