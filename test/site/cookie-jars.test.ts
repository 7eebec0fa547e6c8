import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MemoryStore, type Session, SessionManager } from "../../src/index.ts";
import { JarBrowser, JARS } from "../support/cookie-jars.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { example } from "../support/pages.ts";
import { PageRunner } from "../support/run-page.ts";

const PAGE = "docs/guides/cookie-jars.md";

let database: TestDatabase;
let pages: PageRunner;
beforeAll(async () => {
  database = await createDatabase({ template: false });
  pages = new PageRunner(database.url);
});
afterAll(async () => {
  await pages.close();
  await database.drop();
});

describe("Cookie jars", () => {
  const manager = new SessionManager<Record<string, unknown>>(new MemoryStore({ cleanupInterval: 0 }));

  it.for(Object.entries(JARS))("shows withSession, which counts with the jar of %s", async ([, make]) => {
    const browser = new JarBrowser(make);
    for (const expected of [1, 2]) {
      await browser.request(async (given, request) => {
        const jar = await given;
        const { visits } = await pages.run(example(PAGE, "with"), ["visits"], { manager, jar, request });
        expect(visits).toBe(expected);
      });
    }
  });

  it("shows openSession, which saves and logs in", async () => {
    const browser = new JarBrowser(JARS["SvelteKit"] ?? expect.fail);
    await browser.request(async (jar, request) => {
      const { session } = await pages.run(example(PAGE, "open"), ["session"], { manager, jar, request });
      expect((session as Session).token).toMatch(/^[\w-]{43}$/);
    });
    const session = await manager.load(browser.value());
    expect([session.userId, session.get("message")]).toEqual(["user-42", "Hello world!"]);
  });
});
