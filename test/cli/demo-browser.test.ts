import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { BrowserContext, Page, Route } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PgStore, SessionManager } from "../../src/index.ts";
import { createDemo } from "../../src/lib/cli/demo/app.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { serve, type Served } from "../support/serve.ts";

const chromium = chromiumPath();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const DESKTOP = { width: 1200, height: 800 };
const PHONE = { width: 360, height: 740 };

interface AxeResults {
  violations: { id: string; impact: string; nodes: { html: string }[] }[];
}

describe.skipIf(chromium === undefined)("the demo in Chromium", () => {
  let database: TestDatabase;
  let served: Served;
  let stopStreams: () => void;
  let browser: BrowserContext;
  let close: () => Promise<void>;
  /** Of two browsers: a browser has other cookies for another name of the same server. */
  let here: Page;
  let there: Page;
  const hosts: string[] = [];
  /** Requests to elsewhere, and what the browser has to complain about. */
  const wrong: string[] = [];

  beforeAll(async () => {
    database = await createDatabase();
    const demo = createDemo(new PgStore(database.pool({ max: 5 }), { cleanupInterval: 0 }));
    stopStreams = demo.close;
    served = await serve(demo.listener);
    hosts.push(`${served.url}/`, `${served.url.replace("127.0.0.1", "localhost")}/`);
    ({ browser, close } = await startChromium(chromium ?? ""));
    await browser.route("**/*", (route) => {
      const { hostname } = new URL(route.request().url());
      const isOwn = hostname === "127.0.0.1" || hostname === "localhost";
      if (!isOwn) wrong.push(route.request().url());
      return isOwn ? route.continue() : route.abort();
    });
    browser.on("console", (message) => void wrong.push(message.text()));
    browser.on("weberror", (error) => wrong.push(String(error.error())));
  });
  beforeEach(async () => {
    await browser.clearCookies();
    [here, there] = [await browser.newPage(), await browser.newPage()];
    for (const page of [here, there]) await page.setViewportSize(DESKTOP);
  });
  afterEach(async () => {
    await Promise.all([here.close(), there.close()]);
  });
  afterAll(async () => {
    await close?.();
    stopStreams?.();
    await served?.close();
    await database?.drop();
    expect(wrong).toEqual([]);
  });

  /** Logs in, and waits until the page hears the server's events. */
  async function logIn(page: Page, name: string, host = 0): Promise<void> {
    await page.goto(hosts[host] ?? "");
    await page.getByLabel("Your name").fill(name);
    const isListening = listening(page);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: `Hello, ${name}` }).waitFor();
    await isListening;
  }

  /** Resolves as the page begins to hear the server's events. */
  const listening = (page: Page) => page.waitForResponse((response) => response.url().includes("/events?"));

  const over = (page: Page) => page.getByRole("dialog", { name: "This session was revoked" });

  it("ends a session live when another browser revokes it", async () => {
    await logIn(here, "ada");
    await logIn(there, "ada", 1);
    // The first browser has heard of the second without a reload.
    await here.getByRole("button", { name: /^Revoke Chrome/ }).click();
    await over(there).waitFor();
    expect(await here.getByRole("status").first().textContent()).toBe("Revoked. That browser has just been told.");
    expect(await here.locator(".devices li").count()).toBe(1);
    expect(await over(here).count()).toBe(0);
    await there.getByRole("link", { name: "Log in again" }).click();
    await there.getByRole("heading", { name: "Log in" }).waitFor();
  });

  it("ends it when another process revokes it, or the dashboard does", async () => {
    await logIn(here, "bob");
    await logIn(there, "bob", 1);
    await here.goto(`${hosts[0]}dashboard/user?id=bob`);
    await here.getByRole("link", { name: "Revoke all but this one" }).click();
    await here.getByRole("button", { name: "Revoke all others" }).click();
    await over(there).waitFor();
    const again = listening(here);
    await here.goto(hosts[0] ?? "");
    await again;
    const elsewhere = new SessionManager(new PgStore(database.pool({ max: 1 }), { cleanupInterval: 0 }));
    expect(await elsewhere.destroyByUser("bob")).toBe(1);
    await over(here).waitFor();
  });

  it("logs out everywhere", async () => {
    await logIn(here, "eve");
    await logIn(there, "eve", 1);
    await here.getByRole("button", { name: "Log out everywhere" }).click();
    await over(there).waitFor();
    await here.getByRole("heading", { name: "Log in" }).waitFor();
  });

  describe("follows a log-in of another tab", () => {
    /** A second tab of the first browser. A log-in there replaces its session, which is not revoked. */
    let tab: Page;
    beforeEach(async () => void (tab = await browser.newPage()));
    afterEach(async () => {
      expect(await over(tab).count()).toBe(0);
      await tab.close();
    });

    it("while it hears the events", async () => {
      const isListening = listening(tab);
      await tab.goto(hosts[0] ?? "");
      await isListening;
      await logIn(here, "eve");
      await tab.getByRole("heading", { name: "Hello, eve" }).waitFor();
    });

    it("when it hears them only after the log-in", async () => {
      let listen = (): void => {};
      const loggedIn = new Promise<void>((resolve) => (listen = resolve));
      const hold = async (route: Route): Promise<void> => {
        await loggedIn;
        await route.continue();
      };
      await tab.route("**/events?*", hold, { times: 1 });
      await tab.goto(hosts[0] ?? "");
      await logIn(here, "eve");
      listen();
      await tab.getByRole("heading", { name: "Hello, eve" }).waitFor();
    });

    it("when it hears of it before the browser has the new cookie", async () => {
      const isListening = listening(tab);
      await tab.goto(hosts[0] ?? "");
      await isListening;
      // As the server answers a request with the old cookie.
      await tab.route("**/devices", (route) => route.fulfill({ status: 204 }), { times: 1 });
      await logIn(here, "eve");
      await tab.getByRole("heading", { name: "Hello, eve" }).waitFor();
    });
  });

  it("loses nothing of two tabs that write at the same time", async () => {
    const tabs = [here, there];
    for (const tab of tabs) await tab.goto(hosts[0] ?? "");
    // Neither request goes on before both have left.
    let both = (): void => {};
    const left = new Promise<void>((resolve) => (both = resolve));
    let waiting = 0;
    await browser.route("**/notes", async (route) => {
      waiting += 1;
      if (waiting === 2) both();
      await left;
      await route.continue();
    });
    await Promise.all(
      tabs.map(async (tab, n) => {
        await tab.getByLabel("New note").fill(`From tab ${n}`);
        await tab.getByRole("button", { name: "Add" }).click();
        await tab.waitForURL(hosts[0] ?? "");
      }),
    );
    await browser.unroute("**/notes");
    await here.goto(hosts[0] ?? "");
    expect((await here.locator(".notes li > span").allTextContents()).toSorted()).toEqual(["From tab 0", "From tab 1"]);
  });

  it("shows in the race what a store that overwrites the session loses", async () => {
    await here.goto(hosts[0] ?? "");
    for (let times = 0; times < 2; times++) {
      await here.getByRole("button", { name: "Start the race" }).click();
      const said = "pgstore kept 20 of 20 writes. A store that overwrites the whole session kept 10.";
      await expect.poll(() => here.locator("#race-said").textContent()).toBe(said);
      await here.reload();
    }
    expect(await here.locator("#kept").getAttribute("value")).toBe("20");
  });

  it.each(["light", "dark"] as const)("has nothing serious that axe-core could find, %s", async (colorScheme) => {
    await logIn(there, "axe", 1);
    for (const size of [DESKTOP, PHONE]) {
      for (const [page, path] of [
        [here, ""],
        [here, "ended"],
        [there, ""],
      ] as const) {
        await page.setViewportSize(size);
        await page.emulateMedia({ colorScheme });
        await page.goto((page === here ? hosts[0] : hosts[1]) + path);
        await page.evaluate(axe);
        const { violations } = (await page.evaluate("axe.run({ resultTypes: ['violations'] })")) as AxeResults;
        const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
        expect(serious.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(size.width);
      }
    }
  });
});
