import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase64, parseRfc3339 } from "../../src/lib/codec/go-json.ts";
import { parseJson } from "../../src/lib/codec/json-reader.ts";
import { scsJson } from "../../src/lib/codec/scs-json.ts";
import { defineEntry, equalValues, MAX_DEPTH, type Value } from "../../src/lib/core/value.ts";

interface Tagged {
  t: string;
  v?: unknown;
  hex?: string;
  rfc3339nano?: string;
  nanos?: number;
  is_utc?: boolean;
}
interface Fixture {
  cases: { name: string; hex: string; deadline_unix_nano: string; values: Record<string, Tagged> | null }[];
  rows: { data: string; data_hex: string; options: string }[];
}
const fixture = JSON.parse(
  readFileSync(new URL("../fixtures/scs-v0.1.1-json.json", import.meta.url), "utf8"),
) as Fixture;

const DAY = new Date("2030-01-01T00:00:00.000Z");
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
const decode = (text: string) => scsJson.decode(bytesOf(text));
const encode = (values: Iterable<readonly [string, Value]>, deadline = DAY): string =>
  textOf(scsJson.encode({ values: new Map(values), deadline }));
const wrap = (value: string): string => `{"data":{"k":${value}},"deadline":1}`;
/** Makes the decoder read with its slow path, which alone takes white space before the text. */
const slowly = (text: string): string => ` ${text}`;
/** Cuts the member that Go does not know. */
const withoutTypes = (text: string): string => text.replace(/,"types":\{.*\}\}$/s, "}");

function integer(text: string): number | bigint {
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
}

/** The value of a tagged value; `rich` gives times and bytes as such where milliseconds hold them. */
function valueOf(tagged: Tagged, rich: boolean): Value {
  const { t, v, hex = "", rfc3339nano = "", nanos = 0, is_utc = false } = tagged;
  switch (t) {
    case "string":
    case "bool":
    case "[]string":
      return v as Value;
    case "int":
    case "int64":
      return integer(String(v));
    case "float64":
      return Number(v);
    case "time":
      return rich && is_utc && nanos % 1e6 === 0 ? new Date(rfc3339nano) : rfc3339nano;
    case "bytes":
      return rich ? fromHex(hex) : Buffer.from(hex, "hex").toString("base64");
    case "nil":
      return null;
    case "[]interface":
      return (v as Tagged[]).map((entry) => valueOf(entry, rich));
    case "map":
      return Object.fromEntries(mapOf(v as Record<string, Tagged>, rich));
    default:
      throw new Error(`unknown tag ${t}`);
  }
}

function mapOf(values: Record<string, Tagged> | null, rich = false): Map<string, Value> {
  return new Map(Object.entries(values ?? {}).map(([key, tagged]) => [key, valueOf(tagged, rich)]));
}

function sameMaps(a: Map<string, Value>, b: Map<string, Value>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.has(key) && equalValues(value, b.get(key)));
}

const unit = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
  fc.integer({ min: 0xd800, max: 0xdfff }).map((code) => String.fromCharCode(code)),
  fc.constantFrom("a", "7", "/", "~", "<", "&", '"', "\\", "\0", "\b", "\f", "\n", "\u2028", "\ufeff", "\u{1f36a}"),
);
const text = fc.array(unit, { maxLength: 6 }).map((units) => units.join(""));
const name = fc.oneof(text, fc.constantFrom("__proto__", "constructor", "toString", "length", "0", "10", ""));
const { value: anyValue } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.boolean(),
    fc.constantFrom(null, 0, -0, 1e20, 1e21, -1e20, 2 ** 53, 2 ** 53 - 1, 2n ** 53n, 2n ** 53n - 1n, 0n, "1970-01-01"),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.integer(),
    fc.bigInt(),
    fc.bigInt({ min: -10n, max: 10n }),
    fc.date({ noInvalidDate: true }),
    fc.integer({ min: -8.64e15, max: 8.64e15 }).map((time) => new Date(time)),
    fc.uint8Array({ maxLength: 20 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(name, tie("value")), { maxLength: 4 }).map((entries) => {
      const object: { [key: string]: Value } = {};
      for (const [key, value] of entries) defineEntry(object, key, value);
      return object;
    }),
  ),
}));
const anyMap = fc.array(fc.tuple(name, anyValue), { maxLength: 5 }).map((entries) => new Map(entries));

/** What a text decodes to, in a form that shows every difference; "refused" for an ordinary error. */
function outcome(source: string): string {
  let session;
  try {
    session = decode(source);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return "refused";
    throw error;
  }
  return JSON.stringify([[...session.values.keys()], session.deadline.getTime(), textOf(scsJson.encode(session))]);
}

describe("what Go wrote", () => {
  it.each(fixture.cases)("reads $name", ({ hex, deadline_unix_nano, values }) => {
    const session = scsJson.decode(fromHex(hex));
    expect(sameMaps(session.values, mapOf(values))).toBe(true);
    expect(session.deadline.getTime()).toBe(Math.floor(Number(deadline_unix_nano) / 1e6));
    expect(outcome(slowly(textOf(fromHex(hex))))).toBe(outcome(textOf(fromHex(hex))));
  });

  it.each(fixture.cases)("writes $name back byte by byte", ({ hex, values }) => {
    const go = textOf(fromHex(hex));
    const ours = textOf(scsJson.encode(scsJson.decode(fromHex(hex))));
    expect(ours).toBe(values === null ? go.replace("null", "{}") : go);
  });

  it.each(fixture.cases)("writes $name as Go does when the values are Dates and bytes", ({ hex, values }) => {
    const { deadline } = scsJson.decode(fromHex(hex));
    const go = textOf(fromHex(hex));
    const ours = encode(mapOf(values, true), deadline);
    expect(withoutTypes(ours)).toBe(values === null ? go.replace("null", "{}") : go);
    expect(sameMaps(decode(ours).values, mapOf(values, true))).toBe(true);
  });

  it.each(fixture.rows)("reads and writes a row, $options", ({ data, data_hex }) => {
    const session = scsJson.decode(fromHex(data_hex));
    const { message, n, at } = (JSON.parse(data) as { data: Record<string, Value> }).data;
    expect([...session.values]).toEqual(Object.entries({ at, message, n }));
    expect(textOf(scsJson.encode(session))).toBe(data);
  });

  /** Writes as Go does, char by char. */
  const goText = (value: unknown): string => {
    if (typeof value === "string") {
      const short: Record<string, string> = { '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
      const written = value.replace(/./gsu, (char) => {
        const code = char.codePointAt(0) ?? 0;
        const escaped = code < 0x20 || "<>&\u2028\u2029".includes(char);
        return short[char] ?? (escaped ? `\\u${code.toString(16).padStart(4, "0")}` : char);
      });
      return `"${written}"`;
    }
    if (Array.isArray(value)) return `[${value.map(goText).join()}]`;
    return Object.is(value, -0) ? "-0" : String(value);
  };
  const goName = fc.string({ unit: "binary", maxLength: 5 });
  const goScalar = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.double({ noDefaultInfinity: true, noNaN: true }),
    fc.constantFrom(true, null, 1e20, 1e21, 1e-6, 1e-7, -0),
  );
  const goMap = fc.dictionary(goName, fc.oneof(goScalar, fc.array(goScalar)), { noNullPrototype: true });
  const goSession = (members: [string, unknown][]): string => {
    const sorted = members.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return `{"data":{${sorted.map(([key, value]) => `${goText(key)}:${goText(value)}`).join()}},"deadline":1}`;
  };

  it("keeps the text of the other keys when one is set", () => {
    fc.assert(
      fc.property(goMap, goName, fc.string({ unit: "binary" }), (map, key, value) => {
        const session = decode(goSession(Object.entries(map)));
        session.values.set(key, value);
        const others = Object.entries(map).filter(([other]) => other !== key);
        expect(textOf(scsJson.encode(session))).toBe(goSession([...others, [key, value]]));
      }),
    );
  });
});

describe("scsJson", () => {
  it("gives every value back as what it was", () => {
    fc.assert(
      fc.property(anyMap, fc.date({ noInvalidDate: true }), (values, deadline) => {
        const written = encode(values, deadline);
        const session = decode(written);
        expect(sameMaps(session.values, values)).toBe(true);
        expect(session.deadline).toEqual(deadline);
        expect(textOf(scsJson.encode(session))).toBe(written);
        expect(JSON.stringify([...session.values.values()].map(shape))).toBe(
          JSON.stringify(sortedValues(values).map(shape)),
        );
      }),
      { numRuns: 1000 },
    );
    /** The names of nested objects, in their order. */
    function shape(value: unknown): unknown {
      if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) return 0;
      return Object.entries(value).map(([key, entry]) => [key, shape(entry)]);
    }
    /** In the order in which an object lists what was written. */
    function sortedValues(values: Map<string, Value>): Value[] {
      const names = [...decode(encode([...values.keys()].map((key) => [key, null] as const))).values.keys()];
      return names.map((key) => values.get(key) ?? null);
    }
  });

  it("writes types only for what the text doesn't tell", () => {
    const big = 2 ** 53;
    expect(encode([["a", ["x", 1, -0.5, true, null, { b: 1e21 }, 2n ** 53n]]])).not.toContain("types");
    expect(decode(encode([["~1~0/~", 1n]])).values.get("~1~0/~")).toBe(1n);
    expect(encode([["a/~", { d: [new Date(0.5e3)], n: [1n, big], u: Uint8Array.of(255) }]], new Date(1))).toBe(
      '{"data":{"a/~":{"d":["1970-01-01T00:00:00.5Z"],"n":[1,9007199254740992],"u":"/w=="}},"deadline":1000000,' +
        '"types":{"/a~1~0/d/0":"date","/a~1~0/n/0":"bigint","/a~1~0/n/1":"number","/a~1~0/u":"bytes"}}',
    );
  });

  it("orders keys by code point, not by UTF-16 unit", () => {
    const keys = ["", "a", "ab", "b", "\ud83c", "\ud83ca", "\ud83c\uffff", "\uffff", "\u{1f36a}"];
    const written = encode(keys.toReversed().map((key) => [key, 0] as const));
    expect([...decode(written).values.keys()]).toEqual(keys);
  });

  it("writes Dates beyond the years of RFC 3339 in the extended form", () => {
    const times = [
      -62_167_219_200_000, -62_167_219_200_001, 253_402_300_799_999, 253_402_300_800_000, 8.64e15, -8.64e15,
    ];
    const dates = times.map((time) => new Date(time));
    const written = encode([["t", dates]]);
    expect(written).toContain(
      '"0000-01-01T00:00:00Z","-000001-12-31T23:59:59.999Z","9999-12-31T23:59:59.999Z","+010000-',
    );
    expect(decode(written).values.get("t")).toEqual(dates);
  });

  it("refuses values that were made unstorable after set, naming the key", () => {
    const cycle: Value[] = [];
    cycle.push({ again: cycle });
    const holes = [1];
    holes.length = 2;
    for (const value of [cycle, holes, [Number.NaN], new Date(Number.NaN), new Map(), undefined, () => 1]) {
      const attempt = () => encode(Object.entries({ ok: 1, theKey: value as Value }));
      expect(attempt).toThrow(TypeError);
      expect(attempt).toThrow(/theKey/);
    }
    expect(() => encode([], new Date(Number.NaN))).toThrow(TypeError);
  });

  it("gives fresh values each time and leaves the input alone", () => {
    const bytes = bytesOf(encode([["k", [{}, new Date(0), Uint8Array.of(1)]]]));
    const copy = Uint8Array.from(bytes);
    const [a, b] = [scsJson.decode(bytes), scsJson.decode(bytes)];
    const list = a.values.get("k") as [Value, Date, Uint8Array];
    list[0] = 1;
    list[1].setTime(1);
    list[2][0] = 2;
    expect(b.values.get("k")).toEqual([{}, new Date(0), Uint8Array.of(1)]);
    expect(bytes).toEqual(copy);
  });
});

describe("a unique encoding", () => {
  it("differs from every other of an equal session, and decodes to the same", () => {
    const session = { values: new Map<string, Value>([["n", 1]]), deadline: DAY };
    const plain = Buffer.from(scsJson.encode(session)).toString();
    // More than share the random part of their marks.
    const texts = new Set<string>();
    for (let n = 0; n < 70_000; n++) texts.add(Buffer.from(scsJson.encode(session, "", true)).toString());
    expect(texts.size).toBe(70_000);
    for (const text of texts) {
      if (text.length !== plain.length + 24 || text.trimEnd() !== plain) expect(text).toBe(`${plain} and 24 blanks`);
    }
    const [first = ""] = texts;
    expect(scsJson.decode(Buffer.from(first))).toEqual(session);
  });
});

describe("deadline", () => {
  it.each([
    ["0", 0],
    ["1", 0],
    ["-1", -1],
    ["-999999500", -1000],
    ["-1000000", -1],
    ["-1000001", -2],
    ["1795494133761164739", 1795494133761],
    ["9223372036854775807", 9223372036854],
    ["-9223372036854775808", -9223372036855],
  ])("keeps the nanoseconds of %s while its Date is passed on", (nanoseconds, milliseconds) => {
    const { deadline } = decode(`{"data":{},"deadline":${nanoseconds}}`);
    expect(deadline.getTime()).toBe(milliseconds);
    expect(encode([], deadline)).toBe(`{"data":{},"deadline":${nanoseconds}}`);
  });

  it("follows a Date that was moved, and a copy", () => {
    const { deadline } = decode('{"data":{},"deadline":1234567}');
    expect(encode([], new Date(deadline))).toContain('"deadline":1000000}');
    deadline.setTime(7);
    expect(encode([], deadline)).toContain('"deadline":7000000}');
  });

  it("stays in the range of a Date", () => {
    const far = "9".repeat(30);
    expect(decode(`{"data":{},"deadline":${far}}`).deadline.getTime()).toBe(8.64e15);
    expect(decode(`{"data":{},"deadline":-${far}}`).deadline.getTime()).toBe(-8.64e15);
    expect(outcome(`{"data":{},"deadline":${far}}`)).toContain(far);
  });
});

describe("decode", () => {
  const secret = "s3cr3t";
  const documents = `null|[]|1|"x"|{}|{"data":{}}|{"deadline":1}|{"data":[],"deadline":1}|{"data":1,"deadline":1}
    |{"data":{},"deadline":null}|{"data":{},"deadline":"1"}|{"data":{},"deadline":1.5}|{"data":{},"deadline":01}
    |{"data":{},"deadline":1e30}|{"data":{},"deadline":1e400}|{"data":{},"deadline":1}x|{"data":{},"deadline":1}{}
    |{"data":{},"deadline":1},"types":{}}|{"data":{},"deadline":1,"types":{"s3cr3t}}|\ufeff{"data":{},"deadline":1}`;
  const values = String.raw`"s3cr3t|s3cr3t|"\x s3cr3t"|"\u12s3cr3t"|1e400|-1e400|[1e999]|01|1.|.5|+1|-|1e|tru|nul|NaN|Infinity
    |[1,]|[1|{,}|{"a"}|{"a":}|{'a':1}|[}|{]|{"s3cr3t":1,}|{1:1}|[1 2]|undefined|1;|//`;
  it.each([...documents.split(/\n *\||\|/), ...values.split(/\n *\||\|/).map(wrap), wrap('"s3cr3t\n"'), "", " "])(
    "refuses %j and shows none of it",
    (source) => {
      for (const variant of [source, slowly(source)]) {
        const attempt = () => decode(variant);
        expect(attempt).toThrow(
          /^(not JSON at character \d+|not an object|data is not an object|deadline is not an integer|a number is out of range)$/,
        );
        expect(attempt).not.toThrow(secret);
      }
    },
  );

  it("refuses bytes that are not UTF-8, and is unharmed by them", () => {
    const good = bytesOf(wrap('"é"'));
    const cut = good.indexOf(0xc3) + 1;
    const bad = Uint8Array.of(...good.slice(0, cut), ...good.slice(cut + 1));
    expect(() => scsJson.decode(bad)).toThrow(TypeError);
    expect(() => scsJson.decode(good.slice(0, cut))).toThrow(TypeError);
    expect(scsJson.decode(good).values.get("k")).toBe("é");
  });

  it("takes the numbers as they are written", () => {
    const source =
      "[9007199254740991,9007199254740992,-9007199254740993,1e20,1E2,-0,0.1,5e-324,1e-400,100000000000000000000]";
    const exact = [9007199254740991, 9007199254740992n, -9007199254740993n, 1e20, 100, -0, 0.1, 5e-324, 0, 10n ** 20n];
    expect(decode(wrap(source)).values.get("k")).toEqual(exact);
    expect(decode(wrap(`{"deep":[${source}]}`)).values.get("k")).toEqual({ deep: [exact] });
  });

  it("takes null data, white space, members in any order, unknown members and the last of equal names", () => {
    expect(decode('{"data":null,"deadline":1}').values.size).toBe(0);
    expect(outcome('\t{ "x":[1e999], "deadline":3,"deadline" : 2 ,"data":{"a":0},\r\n"data":{"a":1,"a":2} }\n')).toBe(
      outcome('{"data":{"a":2},"deadline":2}'),
    );
  });

  it("passes over hints that don't fit", () => {
    const data = `{"a":[1,"x",{"b":"AAA="}],"length":"2017-02-30T00:00:00Z","s":"AA=","y":"+010000-02-30T00:00:00.000Z","z":[1.5,${"9".repeat(400)}]}`;
    const kinds = ["date", "bytes", "bigint", "number", "string", "", "__proto__"];
    const nowhere =
      "a x/a/0 /a/length /a/01 /a/-1 /a/9 /a/1/0 /s/length /none/x /__proto__/x /constructor/prototype/x /toString";
    const plain = decode(`{"data":${data},"deadline":1}`).values;
    for (const path of [
      "",
      "/",
      ...nowhere.split(" "),
      "/a",
      "/a/1",
      "/a/__proto__/0",
      "/length",
      "/s",
      "/y",
      "/z",
      "/z/0",
      "/z/1",
    ]) {
      for (const kind of kinds) {
        expect(decode(`{"data":${data},"deadline":1,"types":{"${path}":"${kind}"}}`).values).toEqual(plain);
      }
    }
    for (const types of ["null", "1", '["date"]', '"date"', '{"/s":1}', '{"/s":{"/s":"date"}}', '{"/s":null}']) {
      expect(decode(`{"data":${data},"deadline":1,"types":${types}}`).values).toEqual(plain);
    }
    const nested = '{"data":{"b":"AQ=="},"deadline":1,"types":{"/b":"bytes","/b/0":"bigint","/b/x":"date"}}';
    expect(decode(nested).values.get("b")).toEqual(Uint8Array.of(1));
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it("keeps __proto__ and its kind as plain keys", () => {
    const source =
      '{"data":{"__proto__":{"__proto__":1,"constructor":"AQ=="}},"deadline":1,"types":{"/__proto__/constructor":"bytes"}}';
    for (const variant of [source, slowly(source)]) {
      const value = decode(variant).values.get("__proto__") as object;
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect(Object.entries(value)).toEqual([
        ["__proto__", 1],
        ["constructor", Uint8Array.of(1)],
      ]);
      expect(textOf(scsJson.encode(decode(variant)))).toBe(source);
    }
  });

  it.each([
    ["[", "]", "1"],
    ['{"a":', "}", "[]"],
  ])("takes nesting up to the limit: %s", (start, end, inner) => {
    const nested = (depth: number): string => wrap(start.repeat(depth) + inner + end.repeat(depth));
    const most = inner === "1" ? MAX_DEPTH : MAX_DEPTH - 1;
    expect(textOf(scsJson.encode(decode(nested(most))))).toBe(nested(most));
    for (const read of [(text: string) => text, slowly]) {
      expect(() => decode(read(nested(most + 1)))).toThrow(`nesting deeper than ${MAX_DEPTH}`);
      expect(() => decode(read(nested(300_000)))).toThrow("nesting deeper than");
    }
  });

  it("reads the same quickly and exactly", () => {
    const piece = fc.oneof(
      fc.constantFrom(...'{}[],:"\\ 0-'.split(""), '"a":', '"b":', "1e400", "1e20", "-0", "9007199254740993", "1.0"),
      fc.constantFrom('},"deadline":1', ',"types":{', '"/a":"bigint"', '"__proto__":', '"data":{', "null"),
      fc.constantFrom('"1e400"', '"\\u00e9"', "1"),
    );
    const member = fc.tuple(name, fc.oneof(anyValue, fc.constantFrom("RAW1", "RAW2", "RAW3"))).map(([key, value]) =>
      encode([[key, value]])
        .replace(/^\{"data":\{(.*)\},"deadline":\d+.*$/s, "$1")
        .replace('"RAW1"', "1e400")
        .replace('"RAW2"', "9007199254740993")
        .replace('"RAW3"', `${"[".repeat(501)}${"]".repeat(501)}`),
    );
    const others = `|,"types":{}|,"types":{"/a":"date","/10":"bigint"}|,"types":1|,"x":{},"deadline":2|,"data":{}`;
    const tail = fc.constantFrom(...others.split("|"));
    const parts = fc.oneof(
      fc.array(member).map((members) => members.join()),
      fc.array(piece).map((pieces) => pieces.join("")),
    );
    const deadline = fc.oneof(
      fc.bigInt().map(String),
      fc.constantFrom("0", "-0", "00", "1e3", "1.0", "", "-", "1".repeat(19)),
    );
    fc.assert(
      fc.property(parts, deadline, tail, (data, nanoseconds, rest) => {
        const source = `{"data":{${data}},"deadline":${nanoseconds}${rest}}`;
        expect(outcome(slowly(source))).toBe(outcome(source));
      }),
      { numRuns: 500 },
    );
    for (const hidden of ['"a":1e400,"a":1', '"a":1,"a":1e400', `"a":${"[".repeat(501)}${"]".repeat(501)},"a":1`]) {
      const source = `{"data":{${hidden}},"deadline":1}`;
      expect(outcome(slowly(source))).toBe(outcome(source));
    }
  });

  it("makes a value or an ordinary error of every damaged text", () => {
    const whole = encode([
      ["s3cr3t", ["é\n", 1.5, 10n, new Date(1)]],
      ["u", { a: Uint8Array.of(1, 2) }],
    ]);
    const bytes = bytesOf(whole);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => scsJson.decode(bytes.slice(0, length))).toThrow();
      for (let bit = 0; bit < 8; bit++) {
        const damaged = Uint8Array.from(bytes);
        damaged[length] = (damaged[length] ?? 0) ^ (1 << bit);
        try {
          expect(scsJson.decode(damaged).values).toBeInstanceOf(Map);
        } catch (error) {
          expect(error instanceof SyntaxError || error instanceof TypeError).toBe(true);
          expect(String(error)).not.toContain(secret);
        }
      }
    }
  });

  it.each<(n: number) => string>([
    (n) => '{"data":{' + '},"deadline":1'.repeat(0.07 * n),
    (n) => '{"data":{' + '},"deadline":1,"types":{'.repeat(0.04 * n) + "}",
    (n) => '{"data":{},"deadline":1,"types":{' + "}".repeat(n) + "x",
    (n) => wrap(`"${"\\".repeat(n)}`),
    (n) => wrap(`"${'\\"'.repeat(n / 2)}"`),
    (n) => wrap(`"${"\\n".repeat(n / 2)}"`),
    (n) => wrap(`[${"9007199254740993,".repeat(0.06 * n)}1]`),
    (n) => wrap("1".repeat(0.02 * n)),
    (n) => "[".repeat(n),
    (n) => '{"":'.repeat(0.2 * n),
    (n) => '"'.repeat(n),
    (n) => " ".repeat(n),
  ])("takes time in proportion to the length, case %#", (sourceOf) => {
    /** The best of some times: what else the machine does is not in it. */
    const timeOf = (n: number): number => {
      const source = sourceOf(n);
      const times = Array.from({ length: 4 }, () => {
        const start = performance.now();
        expect(outcome(slowly(source))).toBe(outcome(source));
        return performance.now() - start;
      });
      return Math.min(...times);
    };
    // Eight times as long takes about eight times as long; in proportion to the square it would be 64 times.
    const [short, long] = [timeOf(20_000), timeOf(160_000)];
    expect(long / (short + 5)).toBeLessThan(32);
  });
});

describe("parseJson", () => {
  it.each(["", "-"])("reads integers of up to 1,000 digits (%s), and of larger ones not a digit", (sign) => {
    const most = sign + "7".repeat(1000);
    expect(parseJson(most)).toBe(BigInt(most));
    expect(() => parseJson(`${most}7`)).toThrow(SyntaxError);
    for (const more of [wrap(`${most}7`), slowly(wrap(`${most}7`)), `{"data":{},"deadline":${most}7}`]) {
      expect(() => decode(more)).toThrow(SyntaxError);
    }
    // The time of the conversion grows with the square: this would take minutes.
    expect(() => decode(wrap(sign + "7".repeat(12_000_000)))).toThrow(SyntaxError);
  });

  it.each(["[", '{"a":'])("reads nesting of up to 1,000: %s", (open) => {
    const close = open === "[" ? "]" : "}";
    const nested = (depth: number): string => open.repeat(depth) + "1" + close.repeat(depth);
    parseJson(nested(1000));
    expect(() => parseJson(nested(1001))).toThrow(SyntaxError);
    // Of members that no session has, too.
    expect(() => decode(`{"data":{},"deadline":1,"other":${nested(1000)}}`)).toThrow(SyntaxError);
  });

  const parse = (source: string, parser: (source: string) => unknown): unknown => {
    try {
      return parser(source);
    } catch (error) {
      return error instanceof SyntaxError ? "refused" : error;
    }
  };

  it("agrees with JSON.parse", () => {
    const damage = fc.tuple(
      fc.nat(),
      fc.nat(3),
      fc.constantFrom("", ...'{}[],:"\\ \t\n\r0-eE.+tfn\0\u2028\u00a0\ufeff'.split("")),
    );
    fc.assert(
      fc.property(fc.json(), fc.array(damage, { maxLength: 2 }), fc.nat(2), (json, damages, indent) => {
        let source = JSON.stringify(JSON.parse(json), null, indent);
        for (const [at, removed, added] of damages) {
          const index = at % (source.length + 1);
          source = source.slice(0, index) + added + source.slice(index + removed);
        }
        fc.pre(!/\d{16}/.test(source));
        expect(parse(source, parseJson)).toEqual(parse(source, JSON.parse));
      }),
      { numRuns: 1000 },
    );
  });

  it("keeps integers of any length", () => {
    fc.assert(
      fc.property(fc.bigInt(), (integer) => {
        const parsed = parseJson(String(integer));
        expect(typeof parsed === "number" ? BigInt(parsed) : parsed).toBe(integer);
        expect(typeof parsed === "number").toBe(Number.isSafeInteger(Number(integer)));
      }),
    );
  });
});

describe("parseRfc3339", () => {
  it.each([
    ["2017-07-04T09:08:07Z", "2017-07-04T09:08:07.000Z"],
    ["2017-07-04T09:08:07.1Z", "2017-07-04T09:08:07.100Z"],
    ["1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999Z"],
    ["2017-07-04T09:08:07.12345678901234567890+02:30", "2017-07-04T06:38:07.123Z"],
    ["1999-12-31T23:59:59.000000001-08:00", "2000-01-01T07:59:59.000Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
    ["0000-01-01T00:00:00+00:01", "-000001-12-31T23:59:00.000Z"],
    ["2000-02-29T00:00:00-00:00", "2000-02-29T00:00:00.000Z"],
  ])("reads %s", (source, iso) => {
    expect(parseRfc3339(source)?.toISOString()).toBe(iso);
  });

  const others = `2017-07-04|2017-07-04T09:08:07|2017-07-04 09:08:07Z|2017-07-04t09:08:07z|2017-07-04T09:08:07.Z
    |2017-02-30T00:00:00Z|2017-02-29T00:00:00Z|2017-13-01T00:00:00Z|2017-00-01T00:00:00Z|2017-01-00T00:00:00Z
    |2017-07-04T24:00:00Z|2017-07-04T09:60:07Z|2016-12-31T23:59:60Z|2017-07-04T09:08:07+24:00|2017-07-04T09:08:07+00:60
    |2017-07-04T09:08:07+0200| 2017-07-04T09:08:07Z|+012017-07-04T09:08:07.000Z|2017-7-4T9:8:7Z|2017-07-04T09:08:07,5Z`;
  it.each([...others.split(/\n *\||\|/), "", "2017-07-04T09:08:07Z\n"])("refuses %j", (source) => {
    expect(parseRfc3339(source)).toBeUndefined();
  });
});

describe("decodeBase64", () => {
  it("reads what Go writes, into bytes of their own", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const decoded = decodeBase64(Buffer.from(bytes).toString("base64"));
        expect(decoded).toEqual(Uint8Array.from(bytes));
        expect(decoded?.buffer.byteLength).toBe(bytes.length);
      }),
    );
  });

  it.each(["A", "AA", "AAA", "AA=", "AA==A", "AB==", "AA==\n", "A A=", "-_8=", "====", "AAAA====", "é==="])(
    "refuses %j",
    (source) => {
      expect(decodeBase64(source)).toBeUndefined();
    },
  );
});
