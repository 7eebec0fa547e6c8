import { describe, expect, it } from "vitest";
import { MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { assignSloppily } from "../support/assign-sloppily.ts";

async function sessionAs<T>(): Promise<Session & T> {
  return (await new SessionManager(new MemoryStore({ cleanupInterval: 0 })).load()) as Session & T;
}

describe("a property that is set on a session", () => {
  it("is a TypeError that names what to call", async () => {
    const session = await sessionAs<Record<string, unknown>>();
    expect(() => assignSloppily(session, "cart", [])).toThrow(
      new TypeError('session.cart = … stores nothing: call session.set("cart", …)'),
    );
    expect(() => Object.assign(session, { views: 1 })).toThrow(/session\.set\("views", …\)/);
    expect(Object.keys(session)).toEqual([]);
  });

  it("is refused too where the class has a member of that name", async () => {
    const session = await sessionAs<Record<string, unknown>>();
    const instead = {
      userId: "await session.login(userId)",
      token: "await session.renewToken()",
      deadline: "session.setDeadline(date)",
      status: 'session.set("status", …)',
      keys: 'session.set("keys", …)',
      save: 'session.set("save", …)',
      cookie: "session.rememberMe(true)",
      maxAge: "session.rememberMe(true)",
      regenerate: "await session.login(userId)",
    };
    for (const [name, text] of Object.entries(instead)) {
      expect(() => assignSloppily(session, name, 1), name).toThrow(TypeError);
      expect(() => assignSloppily(session, name, 1), name).toThrow(text);
    }
    expect(session.keys()).toEqual([]);
  });

  it("may be a symbol, of a tool", async () => {
    const session = await sessionAs<Record<symbol, unknown>>();
    const mark = Symbol("mark");
    session[mark] = 1;
    expect(session[mark]).toBe(1);
  });

  it("leaves a session what other objects are", async () => {
    const session = await sessionAs<{ constructor: { name: string } }>();
    expect(session instanceof Object).toBe(true);
    expect([session.constructor.name, Object.prototype.toString.call(session), JSON.stringify(session)]).toEqual([
      "Session",
      "[object Object]",
      "{}",
    ]);
    expect(await Promise.resolve(session)).toBe(session);
  });
});

describe("what sessions of other packages have", () => {
  it("names what to use instead", async () => {
    const session = await sessionAs<Record<string, () => void>>();
    const calls = {
      regenerate: /await session\.renewToken\(\)/,
      reload: /manager\.load/,
      touch: /setDeadline/,
      resetMaxAge: /setDeadline/,
      manuallyCommit: /await session\.save\(\)/,
    };
    for (const [name, text] of Object.entries(calls)) {
      expect(() => session[name]?.(), name).toThrow(TypeError);
      expect(() => session[name]?.(), name).toThrow(text);
    }
    const reads = {
      cookie: /rememberMe/,
      isNew: /status/,
      isChanged: /status/,
      isPopulated: /size/,
      populated: /size/,
    };
    for (const [name, text] of Object.entries(reads)) {
      expect(() => session[name], name).toThrow(TypeError);
      expect(() => session[name], name).toThrow(text);
    }
  });
});

describe("a callback", () => {
  it("is refused at once, where a promise's rejection would be nobody's", async () => {
    const session = await sessionAs<Record<string, (...args: unknown[]) => void>>();
    for (const name of ["save", "destroy", "logout", "reset", "reauthenticate", "renewToken", "regenerate", "reload"]) {
      expect(() => session[name]?.(() => {}), name).toThrow(TypeError);
      expect(() => session[name]?.(() => {}), name).toThrow(`session.${name}: `);
    }
    expect(() => (session["login"] as (...args: unknown[]) => void)("ada", () => {})).toThrow(
      /call await session\.login\(\)/,
    );
    expect(() => (session["destroy"] as (...args: unknown[]) => void)((error: unknown) => error)).toThrow(
      /call await session\.destroy\(\)/,
    );
    expect([session.status, session.userId]).toEqual(["new", undefined]);
  });

  it("that takes an error gets it, where overlooking it loses nothing", async () => {
    const session = await sessionAs<Record<string, (...args: unknown[]) => void>>();
    for (const name of ["save", "regenerate", "reload"]) {
      const seen: unknown[] = [];
      session[name]?.((error: unknown) => seen.push(error));
      expect(seen, name).toEqual([expect.any(TypeError)]);
    }
  });
});

describe("a property that is set on a lazy session", () => {
  it("is a TypeError that says to await it", () => {
    const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }), { lazy: true });
    const request = {};
    void manager.open(request, {});
    const session = manager.sessionOf(request);
    expect(() => assignSloppily(session, "cart", [])).toThrow('call (await session).set("cart", …)');
  });
});
