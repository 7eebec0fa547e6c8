import { once } from "node:events";
import http from "node:http";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { PgStore } from "../../src/index.ts";
import { demo } from "../../src/lib/cli/demo/serve.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { pgstore, pgstoreJson } from "./run.ts";

interface Served {
  url: string;
  location: string;
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  await new PgStore(database.pool(), { cleanupInterval: 0 }).migrate();
});
afterAll(() => database.drop());

/** Does what the process does at a SIGTERM, for those who have begun to listen to it since. */
function terminating(): () => void {
  const before = new Set(process.listeners("SIGTERM"));
  return () => {
    for (const listener of process.listeners("SIGTERM")) {
      if (before.has(listener)) continue;
      listener("SIGTERM");
      process.off("SIGTERM", listener);
      process.off("SIGINT", listener);
    }
  };
}

const local = ({ url }: Pick<Served, "url">): string => url.replace("localhost", "127.0.0.1");

describe("pgstore demo", () => {
  it("serves from the options, and from the environment", async () => {
    const terminate = terminating();
    vi.stubEnv("PORT", "0");
    // csh exports the machine's name there.
    vi.stubEnv("HOST", "203.0.113.1");
    const where = ["--url", database.url, "--schema", "demo"];
    const first = await pgstoreJson("demo", ...where);
    vi.unstubAllEnvs();
    const second = await pgstore("demo", "--port", "0", "--host", "::ffff:127.0.0.1", ...where);
    expect(second.out).toMatch(/^pgstore demo on http:\/\/\[::ffff:127\.0\.0\.1\]:\d+, sessions in PostgreSQL .*\n$/);
    const page = await fetch(local(first.json as unknown as Served));
    expect(await page.text()).toContain("Live sessions");
    terminate();
    await expect.poll(() => fetch(local(first.json as unknown as Served)).catch(() => "closed")).toBe("closed");
  });

  it("refuses a port that is none or taken, in one line", async () => {
    const taken = http.createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    for (const wrong of ["x", "-1", "70000", String(port)]) {
      const { code, err } = await pgstore("demo", "--port", wrong, "--url", database.url);
      expect([code, err]).toEqual([2, expect.stringMatching(/^pgstore: .*(?:PORT: expected|is already in use).*\n$/)]);
    }
    taken.close();
    expect(await pgstore("demo", "--port", "0", "--host", "203.0.113.1")).toMatchObject({ code: 1 });
  });

  it("ends the streams of open pages when it stops", async () => {
    const terminate = terminating();
    const { json } = await pgstoreJson("demo", "--port", "0", "--url", database.url);
    const url = local(json as unknown as Served);
    const page = await fetch(url);
    const [cookie = ""] = page.headers.getSetCookie();
    const [, session] = /data-session="([^"]+)"/.exec(await page.text()) ?? [];
    const stream = await fetch(`${url}/events?session=${session}`, {
      headers: { cookie: cookie.split(";", 1)[0] ?? "" },
    });
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    terminate();
    expect(await stream.text()).toBe("retry: 1000\n\n");
  });

  it("finishes what is under way before it lets go of the database, and tells when that fails", async () => {
    const terminate = terminating();
    const store = new PgStore(database.pool(), { cleanupInterval: 0 });
    const errors = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => void (process.exitCode = undefined));
    const { json } = await demo({ port: "0" }, () => Promise.resolve(store));
    const served = json as Served;
    expect(served.location).toBe("");
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    vi.spyOn(store, "create").mockImplementation(async (...args) => {
      await held;
      return PgStore.prototype.create.apply(store, args);
    });
    const closed = new Error("closing failed");
    vi.spyOn(store, "close").mockRejectedValue(closed);
    const answer = fetch(local(served));
    await expect.poll(() => vi.mocked(store.create).mock.calls.length).toBe(1);
    terminate();
    release();
    expect((await answer).status).toBe(200);
    await expect.poll(() => errors.mock.calls).toEqual([["pgstore demo:", closed]]);
    expect(process.exitCode).toBe(1);
    vi.restoreAllMocks();
    await store.close();
  });
});
