import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PgStore, SessionManager } from "../src/index.ts";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { example, root } from "./support/pages.ts";
import { Browser, PageRunner } from "./support/run-page.ts";

const readme = readFileSync(join(root, "README.md"), "utf8");
const { repository } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { repository: { url: string } };
const address = repository.url.replace(/^git\+|\.git$/g, "");

let database: TestDatabase;
let pages: PageRunner;
beforeAll(async () => {
  database = await createDatabase();
  pages = new PageRunner(database.url);
});
afterAll(async () => {
  await pages.close();
  await database.drop();
});

/** The manager that the README's folded sections take as given. */
function given(): { manager: SessionManager } {
  return { manager: new SessionManager(new PgStore(database.pool(), { cleanupInterval: 0 })) };
}

describe("the README", () => {
  it("shows a program for Express that counts, logs in and logs out everywhere", async () => {
    const { store } = await pages.run(example("README.md", "express"), ["store"]);
    const url = await pages.url();
    const [browser, other] = [new Browser(url), new Browser(url)];
    expect(await (await browser.get("/")).text()).toBe("Visit 1. You are not logged in.");
    expect((await browser.post("/login")).status).toBe(303);
    await other.post("/login");
    expect(await (await browser.get("/")).text()).toBe("Visit 2. You are ada.");
    await other.post("/log-out-everywhere");
    expect(await (await browser.get("/")).text()).toBe("Visit 1. You are not logged in.");
    (store as PgStore).stopCleanup();
  });

  it("shows the same for Fastify", async () => {
    await pages.run(example("README.md", "fastify"), [], given());
    const browser = new Browser(await pages.url());
    expect(await (await browser.get("/")).json()).toEqual({ visits: 1, user: null });
    expect((await browser.post("/login")).status).toBe(303);
    expect(await (await browser.get("/")).json()).toEqual({ visits: 2, user: "ada" });
  });

  it("shows the same for Hono and for Next.js", async () => {
    const { app } = await pages.run(example("README.md", "hono"), ["app"], given());
    const { GET, POST } = await pages.run(example("README.md", "next"), ["GET", "POST"], given());
    const hono = app as { fetch: (request: Request) => Promise<Response> };
    const next = { GET, POST } as Record<string, (request: Request) => Promise<Response>>;
    const visit = async (
      answer: ((request: Request) => Promise<Response>) | undefined,
      cookie?: string,
      method = "GET",
    ) =>
      await answer?.(
        new Request("http://localhost/login", { method, headers: cookie === undefined ? {} : { cookie } }),
      );
    const answers = [
      (cookie?: string, method?: string) => visit(next[method ?? "GET"], cookie, method),
      (cookie?: string, method?: string) =>
        method === undefined
          ? hono.fetch(new Request("http://localhost/", { headers: cookie === undefined ? {} : { cookie } }))
          : visit(hono.fetch, cookie, method),
    ];
    for (const answer of answers) {
      const first = await answer();
      expect(await first?.json()).toEqual({ visits: 1, user: null });
      const login = await answer(first?.headers.getSetCookie()[0]?.split(";")[0], "POST");
      expect(login?.status).toBe(303);
      expect(await (await answer(login?.headers.getSetCookie()[0]?.split(";")[0]))?.json()).toEqual({
        visits: 2,
        user: "ada",
      });
    }
  });

  it("has links and pictures that work on the registry's page, too", () => {
    const targets = [...readme.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)].map(
      (match) => match[1] ?? match[2] ?? "",
    );
    expect(targets.length).toBeGreaterThan(10);
    for (const target of targets) {
      const path = new RegExp(`^${address}/(?:blob|raw)/HEAD/([^#]+)`).exec(target)?.[1];
      if (path === undefined) expect(target, "a relative link breaks on the registry's page").toMatch(/^https:\/\//);
      else expect(existsSync(join(root, path)), target).toBe(true);
    }
  });

  it("fits on a few screens", () => {
    expect(readme.split("\n").length).toBeLessThan(190);
  });
});
