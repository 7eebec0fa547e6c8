import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { AppProcess } from "../support/app-process.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type PgBouncer, pgbouncerVersion, startPgBouncer } from "../support/pgbouncer.ts";

/** How the processes reach their table; PGlite is a database of a single process, so both are the same. */
const ways: Record<string, { driver: string; pooled?: boolean }> = {
  "two processes on node-postgres": { driver: "node-postgres" },
  "two processes on postgres.js": { driver: "postgres.js" },
  "two processes on node-postgres through PgBouncer": { driver: "node-postgres", pooled: true },
  "two processes on postgres.js through PgBouncer": { driver: "postgres.js", pooled: true },
  "a process on PGlite": { driver: "PGlite" },
};
const hasPgBouncer = pgbouncerVersion() !== undefined;

for (const [title, way] of Object.entries(ways)) {
  describe.skipIf(way.pooled === true && !hasPgBouncer)(title, () => races(way));
}

function races({ driver, pooled = false }: { driver: string; pooled?: boolean }): void {
  let database: TestDatabase;
  let bouncer: PgBouncer | undefined;
  let apps: [AppProcess, AppProcess];

  beforeAll(async () => {
    database = await createDatabase();
    if (pooled) bouncer = await startPgBouncer(inject("databaseUrl"));
    apps = await start();
  });
  afterAll(async () => {
    for (const app of new Set(apps)) app.stop();
    await bouncer?.stop();
    await database.drop();
  });

  async function start(env: Record<string, string> = {}): Promise<[AppProcess, AppProcess]> {
    const url = bouncer?.through(database.url) ?? database.url;
    const one = (): Promise<AppProcess> => AppProcess.start(url, { APP_DRIVER: driver, ...env });
    if (driver !== "PGlite") return Promise.all([one(), one()]);
    const only = await one();
    return [only, only];
  }

  /** Waits until this many requests have loaded their session, half of them in each process, and lets them go on. */
  async function letGo(count: number): Promise<void> {
    const processes = [...new Set(apps)];
    await Promise.all(processes.map((app) => app.arrived(count / processes.length)));
    for (const app of processes) app.go();
  }

  /** Sends `count` requests to each process, waits until all have loaded the session, and lets them commit at once. */
  async function race(
    count: number,
    send: (app: AppProcess, n: number) => Promise<{ status: number; setCookies: string[] }>,
  ) {
    const pending = apps.flatMap((app, which) => Array.from({ length: count }, (_, n) => send(app, which * count + n)));
    await letGo(pending.length);
    const answers = await Promise.all(pending);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    return answers;
  }

  describe("one table", () => {
    it("lose none of 200 parallel requests that each set another key", async () => {
      const { cookie } = await apps[0].request("set", { key: "first" });
      await race(100, (app, n) => app.request("set", { key: `key${n}`, cookie, hold: true }));
      const { session } = await apps[1].request("read", { cookie });
      const expected = ["first", ...Array.from({ length: 200 }, (_, n) => `key${n}`)];
      expect(Object.keys(session.values).toSorted()).toEqual(expected.toSorted());
    });

    it("count to 100 with 100 parallel updates", async () => {
      const { cookie } = await apps[0].request("set", { key: "first" });
      await race(50, (app) => app.request("update", { key: "n", cookie, hold: true }));
      expect((await apps[0].request("read", { cookie })).session.values["n"]).toBe(100);
    });

    it("let one of many parallel renewals win; every other sends no cookie", async () => {
      const { cookie } = await apps[0].request("set", { key: "first" });
      const answers = await race(10, (app) => app.request("renewToken", { cookie, hold: true }));
      const cookies = answers.flatMap(({ setCookies }) => setCookies);
      expect(cookies).toHaveLength(1);
      const winner = cookies[0]?.split(";")[0];
      expect((await apps[1].request("read", { cookie: winner })).session.values).toEqual({ first: "first" });
      expect((await apps[1].request("read", { cookie })).session.status).toBe("new");
    });

    it("let every one of parallel logins in, each under its own token; the anonymous one is dead", async () => {
      const { cookie } = await apps[0].request("set", { key: "cart" });
      const answers = await race(3, (app, n) => app.request("login", { key: `user${n}`, cookie, hold: true }));
      const cookies = answers.flatMap(({ setCookies }) => setCookies).map((text) => text.split(";")[0]);
      expect(new Set(cookies).size).toBe(6);
      const sessions = await Promise.all(cookies.map((one) => apps[0].request("read", { cookie: one })));
      expect(sessions.map(({ session }) => session.userId)).toEqual(Array.from({ length: 6 }, (_, n) => `user${n}`));
      // What the anonymous session held goes to one of them; it was dead for the others.
      expect(sessions.filter(({ session }) => "cart" in session.values)).toHaveLength(1);
      expect((await apps[0].request("read", { cookie })).session.status).toBe("new");
    });

    it("end in one state when one destroys what the other renews", async () => {
      for (let round = 0; round < 20; round++) {
        const { cookie } = await apps[0].request("set", { key: "first" });
        const pending = [
          apps[0].request("destroy", { cookie, hold: true }),
          apps[1].request("renewToken", { cookie, hold: true }),
        ] as const;
        await letGo(2);
        const [destroyed, renewed] = await Promise.all(pending);
        const live = (await apps[0].request("read", { cookie: renewed.cookie })).session.status !== "new";
        // Whoever was first tells the client; the other says nothing.
        expect(live).toBe(renewed.setCookies.length === 1);
        expect(destroyed.setCookies).toHaveLength(live ? 0 : 1);
        expect((await apps[0].request("read", { cookie })).session.status).toBe("new");
      }
    });
  });

  describe("a session that ends between a request's load and its commit stays ended", () => {
    const enders = ["destroy", "renewToken", "renew", "login"];
    const losers = ["set", "update", "read", "clear", "renewToken"];
    const conditions: Record<string, Record<string, string> | undefined> = {
      "without an idle timeout": undefined,
      // Nothing of this is the driver's business.
      ...(driver === "node-postgres" && !pooled
        ? { "with an idle timeout and a persistent cookie": { APP_IDLE: "20m", APP_PERSIST: "1" } }
        : {}),
    };
    for (const [condition, env] of Object.entries(conditions)) {
      describe(condition, () => {
        let pair: [AppProcess, AppProcess];
        beforeAll(async () => {
          pair = env === undefined ? apps : await start(env);
        });
        afterAll(() => {
          if (pair !== apps) for (const app of new Set(pair)) app.stop();
        });
        for (const ender of enders) {
          for (const loser of losers) {
            it(`${loser} after ${ender}, in another process and in the same`, async () => {
              for (const late of pair) {
                const { cookie } = await pair[0].request("set", { key: "key" });
                const pending = late.request(loser, { key: "key", cookie, hold: true });
                await late.arrived(1);
                const ended = await pair[1].request(ender, { key: "ada", cookie });
                expect(ended.setCookies).toHaveLength(1);
                late.go();
                const answer = await pending;
                expect(answer.status).toBe(200);
                expect(answer.setCookies).toEqual([]);
                expect((await pair[0].request("read", { cookie })).session.status).toBe("new");
                const winner = await pair[0].request("read", { cookie: ended.cookie });
                if (ender === "destroy") expect(winner.session.status).toBe("new");
                else expect(winner.session.values).toEqual(ender === "renew" ? {} : { key: "key" });
              }
            });
          }
        }
      });
    }
  });
}
