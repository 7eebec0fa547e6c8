import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Duration, MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { parseDuration } from "../../src/lib/core/options.ts";

type Loaded = Session<Record<string, unknown>>;

const page = readFileSync(new URL("../../docs/security/requirements.md", import.meta.url), "utf8");
/** The rows of the page's table: what a level allows at most. */
const levels = [...page.matchAll(/^\| (AAL\d) +\| ([^|]+)\| ([^|]+)\|/gm)].map(([, level = "", ...cells]) => {
  const [lifetime, idleTimeout] = cells.map((cell) => /`"(\w+)"`/.exec(cell)?.[1] as Duration | undefined);
  return { level, lifetime: lifetime ?? expect.unreachable(level), idleTimeout };
});

describe("the documented options for assurance levels", () => {
  it("are there for three levels", () => {
    expect(levels).toEqual([
      { level: "AAL1", lifetime: "30d", idleTimeout: undefined },
      { level: "AAL2", lifetime: "24h", idleTimeout: "1h" },
      { level: "AAL3", lifetime: "12h", idleTimeout: "15m" },
    ]);
  });

  it.each(levels)("end a session when $level asks for it, and not before", async ({ lifetime, idleTimeout }) => {
    const clock = { now: 1_800_000_000_000 };
    const store = new MemoryStore({ cleanupInterval: 0, now: () => clock.now });
    const options = idleTimeout === undefined ? { lifetime } : { lifetime, idleTimeout };
    const manager = new SessionManager<Record<string, unknown>>(store, options);
    const visit = async (token: string | undefined, act: (session: Loaded) => unknown = () => {}): Promise<Loaded> => {
      const session = await manager.load(token);
      await act(session);
      await manager.commit(session);
      return session;
    };
    const length = parseDuration("lifetime", lifetime);
    const idle = idleTimeout === undefined ? length : parseDuration("idleTimeout", idleTimeout);

    const left = await visit(undefined, (session) => session.login("ada"));
    clock.now += idle - 1;
    expect((await manager.load(left.token)).userId).toBe("ada");
    clock.now += 1;
    expect((await manager.load(left.token)).userId).toBeUndefined();

    // However active it is, and whatever its requests do short of a login.
    const used = await visit(undefined, (session) => session.login("ada"));
    let { token } = used;
    const end = clock.now + length;
    for (let n = 0; clock.now + idle * 0.9 < end; n++) {
      clock.now += Math.floor(idle * 0.9);
      const session = await visit(token, (one) => (n % 2 === 0 ? one.renewToken() : one.set("n", n)));
      expect(session.userId).toBe("ada");
      ({ token } = session);
    }
    clock.now = end - 1;
    expect((await manager.load(token)).userId).toBe("ada");
    clock.now = end;
    expect((await manager.load(token)).userId).toBeUndefined();

    const proven = await visit(undefined, (session) => session.login("ada"));
    clock.now += Math.floor(idle / 2);
    ({ token } = await visit(proven.token, (session) => session.reauthenticate()));
    clock.now += idle - 1;
    expect((await manager.load(token)).userId).toBe("ada");
    expect((await manager.load(token)).deadline.getTime()).toBe(clock.now - idle + 1 + length);
  });
});
