import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type CookieAttributes,
  cookieText,
  cookieValues,
  removedCookie,
  setCookie,
} from "../../src/lib/http/cookie.ts";
import { createToken, isToken } from "../../src/lib/core/token.ts";

const all = (): boolean => true;
const attributes: CookieAttributes = {
  name: "session",
  path: "/",
  domain: undefined,
  httpOnly: true,
  sameSite: "lax",
  partitioned: false,
};

describe("cookieValues", () => {
  it("finds our cookie among others, whatever stands around it", () => {
    expect(cookieValues("session=a", "session", all)).toEqual(["a"]);
    expect(cookieValues(" x=1;session=a ; session = b;  session=c;y", "session", all)).toEqual(["a", "b", "c"]);
    expect(cookieValues("sessionx=1; xsession=2; session; =3; ;;", "session", all)).toEqual([]);
    expect(cookieValues("session=a=b==", "session", all)).toEqual(["a=b=="]);
    expect(cookieValues("session=a; session=a; session=b", "session", all)).toEqual(["a", "b"]);
    expect(cookieValues(undefined, "session", all)).toEqual([]);
    expect(cookieValues("", "session", all)).toEqual([]);
  });

  it("does not decode names or values", () => {
    expect(cookieValues("%73ession=a; SESSION=b; session=%41", "session", all)).toEqual(["%41"]);
    expect(cookieValues("__%48ost-session=a", "__Host-session", all)).toEqual([]);
  });

  it("stops at 64 values that are accepted", () => {
    const header = Array.from({ length: 500 }, (_, n) => `session=${n % 2 === 0 ? "bad" : n}`).join("; ");
    const found = cookieValues(header, "session", (value) => value !== "bad");
    expect(found).toEqual(Array.from({ length: 64 }, (_, n) => String(2 * n + 1)));
  });

  it("takes a name by its bytes: only spaces and tabs may stand around it", () => {
    const codes = [
      ...Array.from({ length: 256 }, (_, code) => code),
      0x1680,
      0x180e,
      0x2000,
      0x2003,
      0x200a,
      0x200b,
      0x2028,
      0x2029,
      0x202f,
      0x205f,
      0x3000,
      0xfeff,
    ];
    for (const code of codes) {
      const byte = String.fromCharCode(code);
      const isBlank = byte === " " || byte === "\t";
      const found = isBlank ? ["x"] : [];
      for (const header of [`${byte}__Host-s=x`, `a=b;${byte}__Host-s=x`, `__Host-s${byte}=x`]) {
        // These two end the pair before the name, or begin the value.
        if (byte === ";" && !header.startsWith("__Host-s")) continue;
        if (byte === "=") continue;
        expect(cookieValues(header, "__Host-s", all), JSON.stringify(header)).toEqual(found);
      }
      const value = code === 0x3b ? "x" : isBlank ? "x" : `x${byte}`;
      expect(cookieValues(`__Host-s=x${byte}`, "__Host-s", all)).toEqual([value]);
    }
  });

  it("finds a token in any header of other cookies", () => {
    const other = fc.tuple(
      fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/),
      fc.stringMatching(/^[^;\u0000-\u001f]{0,40}$/),
    );
    fc.assert(
      fc.property(fc.array(other), fc.array(other), (before, after) => {
        const token = createToken();
        const pairs = [...before, ["session", token], ...after].filter(
          ([name], at) => at === before.length || name !== "session",
        );
        const header = pairs.map(([name, value]) => `${name}=${value}`).join("; ");
        expect(cookieValues(header, "session", isToken)).toEqual([token]);
      }),
    );
  });

  it("accepts nothing but tokens, and throws on nothing", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        for (const value of cookieValues(`session=${text}`, "session", isToken)) expect(value).toMatch(/^[\w-]{43}$/);
        expect(cookieValues(text, "session", all).length).toBeLessThanOrEqual(64);
      }),
      { numRuns: 2000 },
    );
  });

  it("takes time in proportion to the header's length, however it is made", () => {
    const size = 1 << 20;
    const headers = [
      ";".repeat(size),
      "=".repeat(size),
      "a=b;".repeat(size / 4),
      `${";".repeat(size)}=session`,
      " ".repeat(size),
    ];
    // A quadratic scan of a megabyte takes minutes; the test's time limit is the bound.
    const last = "x".repeat(43);
    for (const header of headers) {
      expect(cookieValues(`session;${header};session=${last}`, "session", isToken)).toEqual([last]);
    }
  });
});

describe("setCookie", () => {
  it("writes what RFC 6265bis lets a server write, with both attributes of one instant", () => {
    const flag = fc.boolean();
    const anyAttributes: fc.Arbitrary<CookieAttributes> = fc.record({
      name: fc.constantFrom("session", "__Host-s", "a.b"),
      path: fc.constantFrom("", "/", "/in side"),
      domain: fc.constantFrom(undefined, "example.org"),
      httpOnly: flag,
      sameSite: fc.constantFrom<CookieAttributes["sameSite"][]>("lax", "strict", "none", false),
      partitioned: flag,
    });
    const life = fc.option(
      fc.record({ now: fc.integer({ min: 0, max: 4e12 }), left: fc.integer({ min: -1e6, max: 1e12 }) }),
      { nil: undefined },
    );
    fc.assert(
      fc.property(anyAttributes, flag, life, (given, secure, lived) => {
        const token = createToken();
        const until = lived && { now: lived.now, expiry: lived.now + lived.left };
        const text = setCookie(given, secure, token, until);
        const [pair, ...parts] = text.split("; ");
        expect(pair).toBe(`${given.name}=${token}`);
        const names = parts.map((part) => part.split("=")[0]);
        expect(new Set(names).size).toBe(names.length);
        expect(names.includes("Secure")).toBe(secure);
        expect(names.includes("HttpOnly")).toBe(given.httpOnly);
        expect(names.includes("Partitioned")).toBe(given.partitioned);
        expect(names.includes("Path")).toBe(given.path !== "");
        expect(names.includes("Expires")).toBe(lived !== undefined);
        expect(text).toMatch(/^[\u0020-\u007e]+$/);
        if (until === undefined) return;
        const maxAge = Number(/Max-Age=(\d+)/.exec(text)?.[1]);
        const expires = Date.parse(/Expires=([^;]+)/.exec(text)?.[1] ?? "");
        expect(maxAge).toBeGreaterThan(0);
        expect(maxAge).toBeLessThanOrEqual(400 * 24 * 3600);
        // Rounded up to the second, each for itself.
        expect(Math.abs(expires - until.now - maxAge * 1000)).toBeLessThanOrEqual(
          Math.max(1000, until.now - until.expiry + 1000),
        );
      }),
    );
  });

  it("caps the life at 400 days, as browsers do", () => {
    const text = setCookie(attributes, false, "t", { now: 0, expiry: 1e15 });
    expect(text).toBe(
      "session=t; Max-Age=34560000; Path=/; Expires=Fri, 05 Feb 1971 00:00:00 GMT; HttpOnly; SameSite=Lax",
    );
  });
});

describe("removedCookie", () => {
  it("repeats the attributes", () => {
    expect(
      cookieText(removedCookie({ ...attributes, domain: "example.org", partitioned: true, sameSite: "none" }, true)),
    ).toBe(
      "session=; Max-Age=0; Domain=example.org; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; HttpOnly; Secure; Partitioned; SameSite=None",
    );
  });
});
