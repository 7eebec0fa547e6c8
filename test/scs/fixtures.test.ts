import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { MemoryStore } from "../../src/index.ts";
import * as scs from "../../src/scs.ts";
import { serving } from "../support/serve.ts";

interface Tagged {
  t: string;
  v: unknown;
  hex?: string;
  rfc3339nano?: string;
  bits?: string;
  error?: string;
}
interface Case {
  name: string;
  hex: string;
  getters: Record<string, Record<string, Tagged>>;
}
const path = fileURLToPath(new URL("../fixtures/scs-v0.1.1-json.json", import.meta.url));
const { cases } = JSON.parse(readFileSync(path, "utf8")) as { cases: Case[] };

const TOKEN = "t".repeat(43);
const HOUR = 3_600_000;

/** Serves one request of a session whose row Go has written. */
async function request<T>(
  hex: string,
  handle: (request: object) => T,
): Promise<{ result: T | undefined; text: string }> {
  const engine = new MemoryStore({ cleanupInterval: 0 });
  await engine.save(TOKEN, Buffer.from(hex, "hex"), new Date(Date.now() + HOUR));
  const middleware = scs.manage(engine, { hashTokens: false, cookieName: "scs.session.token" });
  let result: T | undefined;
  const listener = middleware((request, response) => {
    result = handle(request);
    response.end();
  });
  await serving(listener, async ({ get }) => {
    expect((await get("/", `scs.session.token=${TOKEN}`)).status).toBe(200);
  });
  const found = await engine.find(TOKEN);
  return { result, text: new TextDecoder().decode(found?.data) };
}

/** What a getter here should answer where Go's answered this. */
function expected(getter: string, { t, v, hex, rfc3339nano }: Tagged): unknown {
  if (t === "int") return Number(v);
  if (t === "int64") return BigInt(v as string);
  if (t === "float64") return Number(v);
  if (t === "bytes") return new Uint8Array(Buffer.from(hex ?? "", "hex"));
  if (t === "time") return new Date(rfc3339nano ?? "");
  if (t === "string" || t === "bool") return v;
  throw new Error(`${getter}: ${t}`);
}

const getters: Record<string, (request: object, key: string) => unknown> = {
  GetString: scs.getString,
  GetBool: scs.getBool,
  GetInt: scs.getInt,
  GetInt64: scs.getInt64,
  GetFloat: scs.getFloat,
  GetTime: scs.getTime,
  GetBytes: scs.getBytes,
};

describe("a session that Go wrote", () => {
  for (const { name, hex, getters: answers } of cases) {
    it(`(${name}) answers each getter as it did Go`, async () => {
      for (const [key, byGetter] of Object.entries(answers)) {
        for (const [getter, answer] of Object.entries(byGetter)) {
          const read = getters[getter];
          if (read === undefined) throw new Error(getter);
          // A number can't hold it; getInt64 does.
          const beyond = getter === "GetInt" && answer.t === "int" && !Number.isSafeInteger(Number(answer.v));
          await request(hex, (req) => {
            if (answer.error !== undefined || beyond) {
              expect(() => read(req, key), `${getter} ${key}`).toThrow(scs.TypeAssertionError);
            } else {
              expect(read(req, key), `${getter} ${key}`).toEqual(expected(getter, answer));
            }
          });
        }
      }
    });

    it(`(${name}) keeps what TypeScript does not touch, to the last digit`, async () => {
      const before = Buffer.from(hex, "hex").toString();
      const { text } = await request(hex, (req) => scs.putString(req, "zzzz added", "x"));
      const deadline = /,"deadline":(-?\d+)\}$/.exec(before)?.[0];
      expect(text.endsWith(`${deadline}`)).toBe(true);
      const data =
        before === "" || before.startsWith('{"data":null')
          ? ""
          : before.slice(9, before.length - (deadline?.length ?? 0) - 1);
      const members = text.slice(9, text.length - (deadline?.length ?? 0) - 1);
      // The new key is put where Go would sort it; nothing else changes.
      const without = members.replace(/,?"zzzz added":"x"/, "").replace(/^,/, "");
      expect(without).toBe(data);
    });
  }
});
