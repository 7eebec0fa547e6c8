import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { type DecodedSession, encrypted, scsJson } from "../../src/codecs.ts";
import type { Value } from "../../src/index.ts";
import fixture from "../fixtures/scs-v0.1.1-json.json" with { type: "json" };

const DEADLINE = new Date("2030-01-01T00:00:00.123Z");

/** What Go's way to write a nil map loses by being read: it becomes an empty one. */
const NIL_MAP = '{"data":null,';

function decode(hex: string): DecodedSession {
  return scsJson.decode(Uint8Array.from(Buffer.from(hex, "hex")));
}

function ofGo(hex: string): void {
  const text = Buffer.from(hex, "hex").toString().replace(NIL_MAP, '{"data":{},');
  assert.equal(Buffer.from(scsJson.encode(decode(hex))).toString(), text);
}

/** Values that JSON alone can't tell apart, and texts that engines might write in ways of their own. */
const values = new Map<string, Value>([
  ["date", new Date(-1)],
  ["bytes", Uint8Array.from({ length: 256 }, (_, index) => index)],
  ["small bigint", 7n],
  ["large bigint", 2n ** 80n],
  ["large number", 2 ** 60],
  ["negative zero", -0],
  ["smallest", 5e-324],
  ["texts", ["\u2028<>&\u0000\u007f", "\ud800 alone", "😀", "ключ"]],
  ["__proto__", { nested: [null, true, { deep: new Date(0) }] }],
]);

/** What the codec promises of the bytes that Go's SCS wrote and of its own. Knows no test runner. */
export const codecContract: Record<string, () => void> = {
  ...Object.fromEntries(
    fixture.cases.map(({ name, hex }) => [`gives back the bytes of Go's session (${name})`, () => ofGo(hex)]),
  ),
  ...Object.fromEntries(
    fixture.rows.map(({ data_hex }, n) => [`gives back the bytes of Go's row ${n + 1}`, () => ofGo(data_hex)]),
  ),
  "gives back the values of every kind": () => {
    const bytes = scsJson.encode({ values, deadline: DEADLINE });
    const again = scsJson.decode(bytes);
    assert.deepEqual(again.values, values);
    assert.equal(again.deadline.getTime(), DEADLINE.getTime());
    assert.ok(Buffer.from(scsJson.encode(again)).equals(bytes));
  },
  "encrypts, for one session and one key, and takes nothing else": () => {
    const [key, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const codec = encrypted(scsJson, [{ id: "new", key }, other]);
    const bytes = codec.encode({ values, deadline: DEADLINE }, "id");
    assert.deepEqual(codec.decode(bytes, "id").values, values);
    assert.ok(!Buffer.from(bytes).includes("deadline"));
    assert.throws(() => codec.decode(bytes, "another"), Error);
    assert.throws(() => encrypted(scsJson, [{ id: "new", key: other }]).decode(bytes, "id"), Error);
    assert.throws(() => codec.decode(scsJson.encode({ values, deadline: DEADLINE }), "id"), Error);
    const damaged = Uint8Array.from(bytes);
    damaged[bytes.length - 1] = (damaged[bytes.length - 1] ?? 0) ^ 1;
    assert.throws(() => codec.decode(damaged, "id"), Error);
    const old = encrypted(scsJson, [other]).encode({ values, deadline: DEADLINE }, "id");
    assert.deepEqual(codec.decode(old, "id").values, values);
  },
  "throws on bytes that are no session": () => {
    for (const text of [
      "",
      "{",
      "null",
      '{"data":{}}',
      '{"data":{"k":1},"deadline":"1"}',
      '{"data":{},"deadline":1}x',
    ]) {
      assert.throws(() => decode(Buffer.from(text).toString("hex")), Error, text);
    }
    assert.throws(() => decode("7b2264617461223a7b226b223a22ff227d2c22646561646c696e65223a317d"), Error, "no UTF-8");
  },
};
