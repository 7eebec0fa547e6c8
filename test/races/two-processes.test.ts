import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AppProcess } from "../support/app-process.ts";
import type { Driver } from "../support/clients.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type PgBouncer, pgbouncerVersion, startPgBouncer } from "../support/pgbouncer.ts";

let database: TestDatabase;
let bouncer: PgBouncer | undefined;
const hasBouncer = pgbouncerVersion() !== undefined;

beforeAll(async () => {
  database = await createDatabase();
  if (hasBouncer) bouncer = await startPgBouncer(database.url);
});
afterAll(async () => {
  await bouncer?.stop();
  await database.drop();
});

type Pair = [AppProcess, AppProcess];
type Variables = Record<string, string>;

const WITHOUT: Variables = {};
/** The requests of a session wait for one another: a slow machine needs more than 5 s for a hundred of them. */
const PATIENT: Variables = { APP_QUERY_TIMEOUT: "1m" };
const IDLE: Variables = { APP_IDLE: "20m", APP_PERSIST: "1" };

/** Starts two processes for the tests of a suite. */
function twoProcesses(driver: Driver, pooled: boolean, variables: Variables): () => Pair {
  let pair: Pair;
  beforeAll(async () => {
    const url = pooled ? (bouncer?.through(database.url) ?? "") : database.url;
    const start = (): Promise<AppProcess> => AppProcess.start(url, { APP_DRIVER: driver, ...variables });
    pair = await Promise.all([start(), start()]);
  });
  afterAll(() => {
    for (const app of pair) app.stop();
  });
  return () => pair;
}

/** Sends `count` requests to each process, waits until all have loaded the session, and lets them commit at once. */
async function race(
  apps: Pair,
  count: number,
  send: (app: AppProcess, n: number) => Promise<{ status: number; setCookies: string[] }>,
) {
  const pending = apps.flatMap((app, which) => Array.from({ length: count }, (_, n) => send(app, which * count + n)));
  await Promise.all(apps.map((app) => app.arrived(count)));
  for (const app of apps) app.go();
  const answers = await Promise.all(pending);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  return answers;
}

const enders = ["destroy", "renewToken", "reset", "login"];
const losers = ["set", "update", "read", "clear", "renewToken"];

function races(driver: Driver, pooled: boolean, environments: Record<string, Variables>): void {
  describe("two processes, one table", () => {
    const apps = twoProcesses(driver, pooled, PATIENT);
    it("lose none of 200 parallel requests that each set another key", async () => {
      const { cookie } = await apps()[0].request("set", { key: "first" });
      await race(apps(), 100, (app, n) => app.request("set", { key: `key${n}`, cookie, hold: true }));
      const { session } = await apps()[1].request("read", { cookie });
      const expected = ["first", ...Array.from({ length: 200 }, (_, n) => `key${n}`)];
      expect(Object.keys(session.values).toSorted()).toEqual(expected.toSorted());
    }, 60_000);

    it("count to 100 with 100 parallel updates", async () => {
      const { cookie } = await apps()[0].request("set", { key: "first" });
      await race(apps(), 50, (app) => app.request("update", { key: "n", cookie, hold: true }));
      expect((await apps()[0].request("read", { cookie })).session.values["n"]).toBe(100);
    }, 60_000);

    it("let one of many parallel renewals win; every other sends no cookie", async () => {
      const { cookie } = await apps()[0].request("set", { key: "first" });
      const answers = await race(apps(), 10, (app) => app.request("renewToken", { cookie, hold: true }));
      const cookies = answers.flatMap(({ setCookies }) => setCookies);
      expect(cookies).toHaveLength(1);
      const winner = cookies[0]?.split(";")[0];
      expect((await apps()[1].request("read", { cookie: winner })).session.values).toEqual({ first: "first" });
      expect((await apps()[1].request("read", { cookie })).session.status).toBe("new");
    });

    it("let every one of parallel logins in, each under its own token; the anonymous one is dead", async () => {
      const { cookie } = await apps()[0].request("set", { key: "cart" });
      const answers = await race(apps(), 3, (app, n) => app.request("login", { key: `user${n}`, cookie, hold: true }));
      const cookies = answers.flatMap(({ setCookies }) => setCookies).map((text) => text.split(";")[0]);
      expect(new Set(cookies).size).toBe(6);
      const sessions = await Promise.all(cookies.map((one) => apps()[0].request("read", { cookie: one })));
      expect(sessions.map(({ session }) => session.userId)).toEqual(Array.from({ length: 6 }, (_, n) => `user${n}`));
      // What the anonymous session held goes to one of them; it was dead for the others.
      expect(sessions.filter(({ session }) => "cart" in session.values)).toHaveLength(1);
      expect((await apps()[0].request("read", { cookie })).session.status).toBe("new");
    });

    it("leave nothing alive when one destroys what the other renews, whoever is first", async () => {
      for (let round = 0; round < 20; round++) {
        const { cookie } = await apps()[0].request("set", { key: "first" });
        const [destroyed, renewed] = await race(apps(), 1, (app, n) =>
          app.request(n === 0 ? "destroy" : "renewToken", { cookie, hold: true }),
        );
        // It has ended the session under the one token or the other, and clears the cookie.
        expect(destroyed?.setCookies).toEqual([expect.stringMatching(/=; .*Expires=Thu, 01 Jan 1970/)]);
        // A renewal that was first has told its token; otherwise it says nothing.
        const tokens = [cookie, ...(renewed?.setCookies ?? []).map((text) => text.split(";")[0])];
        expect(tokens.length).toBeLessThanOrEqual(2);
        for (const one of tokens) {
          expect((await apps()[0].request("read", { cookie: one })).session).toMatchObject({
            status: "new",
            values: {},
          });
        }
      }
    });

    it("leave nothing alive when one revokes what the other renews, by user, tag or id", async () => {
      for (const how of ["revoke", "revokeTag", "revokeId"]) {
        const { cookie } = await apps()[0].request("tagged", { key: "rita" });
        const [, renewed] = await race(apps(), 1, (app, n) =>
          n === 0 ? app.request(how, { key: "rita", hold: true }) : app.request("renewToken", { cookie, hold: true }),
        );
        for (const one of [cookie, ...(renewed?.setCookies ?? []).map((text) => text.split(";")[0])]) {
          expect((await apps()[0].request("read", { cookie: one })).session).toMatchObject({
            status: "new",
            values: {},
          });
        }
      }
    });
  });

  if (Object.keys(environments).length === 0) return;
  describe("a session that ends between a request's load and its commit stays ended", () => {
    for (const [name, variables] of Object.entries(environments)) {
      describe(name, () => {
        const pair = twoProcesses(driver, pooled, variables);
        for (const ender of enders) {
          for (const loser of losers) {
            it(`${loser} after ${ender}, in another process and in the same`, async () => {
              for (const late of pair()) {
                const { cookie } = await pair()[0].request("set", { key: "key" });
                const pending = late.request(loser, { key: "key", cookie, hold: true });
                await late.arrived(1);
                const ended = await pair()[1].request(ender, { key: "ada", cookie });
                expect(ended.setCookies).toHaveLength(1);
                late.go();
                const answer = await pending;
                expect(answer.status).toBe(200);
                expect(answer.setCookies).toEqual([]);
                expect((await pair()[0].request("read", { cookie })).session.status).toBe("new");
                const winner = await pair()[0].request("read", { cookie: ended.cookie });
                if (ender === "destroy") expect(winner.session.status).toBe("new");
                else expect(winner.session.values).toEqual(ender === "reset" ? {} : { key: "key" });
              }
            });
          }
          it(`destroy after ${ender} ends what it goes on as, in another process and in the same`, async () => {
            for (const late of pair()) {
              const { cookie } = await pair()[0].request("set", { key: "key" });
              const pending = late.request("destroy", { cookie, hold: true });
              await late.arrived(1);
              const ended = await pair()[1].request(ender, { key: "ada", cookie });
              late.go();
              const answer = await pending;
              expect(answer.status).toBe(200);
              expect(answer.setCookies).toHaveLength(ender === "destroy" ? 0 : 1);
              for (const one of [cookie, ended.cookie]) {
                expect((await pair()[0].request("read", { cookie: one })).session.status).toBe("new");
              }
            }
          });
        }
      });
    }
  });
}

describe("with node-postgres", () => {
  races("node-postgres", false, {
    "without an idle timeout": WITHOUT,
    "with an idle timeout and a persistent cookie": IDLE,
  });
});
describe("with postgres.js", () => races("postgres.js", false, { "with an idle timeout": IDLE }));
describe("with Neon's Pool", () => races("Neon's Pool", false, {}));
describe.skipIf(!hasBouncer)("through PgBouncer", () => {
  describe("with node-postgres", () => races("node-postgres", true, { "with an idle timeout": IDLE }));
  describe("with postgres.js", () => races("postgres.js", true, {}));
});
