import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import express from "express";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dashboard } from "../../src/dashboard.ts";
import type { Session } from "../../src/index.ts";
import { connect, type NodeListener } from "../../src/node.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { serve, type Served } from "../support/serve.ts";
import { ADA, fill } from "./fill.ts";
import { openPlace, type Place } from "./support.ts";

const chromium = chromiumPath();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core answers. */
interface AxeResults {
  violations: { id: string; impact: string; nodes: { html: string }[] }[];
}

const DESKTOP = { width: 1200, height: 800 };
const PHONE = { width: 360, height: 740 };

describe.skipIf(chromium === undefined)("the dashboard in Chromium", () => {
  let place: Place;
  let served: Served;
  let browser: BrowserContext;
  let close: () => Promise<void>;
  let page: Page;
  let home: string;
  let admin: Session;
  /** Requests to elsewhere, and what the browser has to complain about. */
  const wrong: string[] = [];
  /** Everything that was sent. */
  const bodies: string[] = [];

  beforeAll(async () => {
    place = await openPlace();
    await fill(place.pool);
    const app = express().use((_request, response, next) => {
      const end = response.end.bind(response);
      response.end = ((body?: unknown) => {
        if (body instanceof Uint8Array) bodies.push(new TextDecoder().decode(body));
        return end(body);
      }) as typeof response.end;
      next();
    });
    app.use(connect(place.manager));
    app.use(
      "/admin/sessions",
      dashboard<express.Request>(place.manager, {
        authorize: ({ session }) => session.userId === "admin",
        title: "Shop",
      }),
    );
    served = await serve(app as NodeListener);
    home = `${served.url}/admin/sessions/`;
    ({ browser, close } = await startChromium(chromium ?? ""));
    admin = await place.login("admin");
    await browser.addCookies([{ name: "session", value: admin.token ?? "", url: served.url, httpOnly: true }]);
    await browser.route("**/*", (route) => {
      const { hostname } = new URL(route.request().url());
      if (hostname !== "127.0.0.1") wrong.push(route.request().url());
      return hostname === "127.0.0.1" ? route.continue() : route.abort();
    });
    browser.on("console", (message) => {
      // That there is no such page is one of the tests.
      if (!message.location().url.endsWith("/nowhere")) wrong.push(message.text());
    });
    browser.on("weberror", (error) => wrong.push(String(error.error())));
    page = await browser.newPage();
  });
  beforeEach(async () => {
    await page.setViewportSize(DESKTOP);
    await page.emulateMedia({ colorScheme: "light" });
  });
  afterAll(async () => {
    await close?.();
    await served?.close();
    await place?.drop();
    expect(wrong).toEqual([]);
    expect(bodies.length).toBeGreaterThan(20);
    for (const body of bodies) {
      expect(body).not.toContain(admin.token);
      expect(body).not.toContain("nobody may see this");
      expect(body).not.toContain("xxxxxxxx");
    }
  });

  /** Waits for the page that has this heading, and for its style. */
  const shows = async (heading: string): Promise<void> => {
    await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
    await page.waitForLoadState();
  };
  const flash = (): Promise<string | null> => page.getByRole("status").textContent();
  const openTables = async (): Promise<void> => {
    for (const summary of await page.locator("summary").all()) await summary.click();
  };

  it("leads from the overview by the search to a user, and ends one session and then all others", async () => {
    await page.goto(home.slice(0, -1));
    expect(page.url()).toBe(home);
    await shows("Overview");
    expect(await page.getByRole("img", { name: "Live sessions and users" }).isVisible()).toBe(true);
    await page.getByRole("link", { name: "Week", exact: true }).click();
    await page.waitForURL(`${home}?range=week`);
    expect(await page.getByRole("link", { name: "Week", exact: true }).getAttribute("aria-current")).toBe("true");
    await page.getByText("As a table").first().click();
    expect(await page.locator("figure table").first().getByRole("row").count()).toBe(85);

    await page.getByRole("searchbox").fill("ada@");
    await page.getByRole("button", { name: "Find" }).click();
    await shows("Users that begin with ada@");
    await page.getByRole("link", { name: ADA }).click();
    await shows(`Sessions of ${ADA}`);
    const rows = page.getByRole("table").getByRole("row");
    expect(await rows.count()).toBe(6);
    expect(await rows.nth(2).textContent()).toContain("Safari 18 on iPhone");

    const safari = page.getByRole("link", { name: /^Revoke the session on Safari/ });
    await safari.click();
    await shows(`Revoke this session of ${ADA}?`);
    await page.getByRole("link", { name: "Cancel" }).click();
    await shows(`Sessions of ${ADA}`);
    expect(await rows.count()).toBe(6);
    await safari.click();
    await page.getByRole("button", { name: "Revoke the session" }).click();
    expect(await flash()).toBe("1 session revoked.");
    expect(await rows.count()).toBe(5);
    expect(await page.getByRole("table").textContent()).not.toContain("iPhone");

    await page.getByRole("link", { name: /^Revoke others than the session on Edge/ }).click();
    await shows(`Revoke all other sessions of ${ADA}?`);
    expect(await page.locator("main").textContent()).toContain("Sessions to revoke: 3.");
    await page.getByRole("button", { name: "Revoke all others" }).click();
    expect(await flash()).toBe("3 sessions revoked.");
    expect(await rows.count()).toBe(2);
    expect(await rows.nth(1).textContent()).toContain("Edge 141 on Windows");
  });

  it("keeps the session of whoever looks", async () => {
    const elsewhere = await place.login("admin");
    await page.goto(`${home}user?id=admin`);
    expect(await page.getByRole("row").filter({ hasText: "this one" }).count()).toBe(1);
    await page.getByRole("link", { name: "Revoke all but this one" }).click();
    await page.getByRole("button", { name: "Revoke all others" }).click();
    expect(await flash()).toBe("1 session revoked.");
    expect(await place.alive(elsewhere, admin)).toEqual([false, true]);
  });

  it("needs no mouse", async () => {
    const bob = await place.login("bob");
    await page.goto(home);
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("To the content");
    expect(await page.locator(".skip").isVisible()).toBe(true);
    await tabTo("Beginning of a user id, session id, or IP address");
    await page.keyboard.type("bob");
    await page.keyboard.press("Enter");
    await shows("Users that begin with bob");
    await press("bob");
    await shows("Sessions of bob");
    await press("Revoke all sessions");
    await shows("Revoke all sessions of bob?");
    await press("Revoke all sessions");
    expect(await flash()).toBe("1 session revoked.");
    expect(await place.alive(bob)).toEqual([false]);
  });

  /** Presses the tabulator until what has that name has the focus, visibly. */
  async function tabTo(name: string): Promise<void> {
    const named = "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()";
    for (let n = 0; n < 60; n++) {
      await page.keyboard.press("Tab");
      if ((await page.evaluate(named)) !== name) continue;
      expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
      return;
    }
    expect.unreachable(`nothing is called ${name}`);
  }

  async function press(name: string): Promise<void> {
    await tabTo(name);
    await page.keyboard.press("Enter");
  }

  const PAGES = [
    "",
    "?range=day&refresh=300",
    "users?q=al",
    "users?sort=sessions&page=2",
    "user?id=admin",
    "user?id=nobody&revoked=2",
    "sessions?q=192.0.2.17",
    "sessions?q=2001:db8::1",
    "revoke?user=admin",
    "nowhere",
  ];
  for (const colorScheme of ["light", "dark"] as const) {
    it(`has nothing serious that axe-core could find, ${colorScheme}`, async () => {
      await page.emulateMedia({ colorScheme });
      for (const path of PAGES) {
        // What the phone turns into something else are the tables.
        for (const size of /^(?:user\?id=admin|sessions)/.test(path) ? [DESKTOP, PHONE] : [DESKTOP]) {
          await page.setViewportSize(size);
          await page.goto(home + path);
          await openTables();
          // The page's policy lets no script in; the debugger's are not the page's.
          await page.evaluate(axe);
          const { violations } = (await page.evaluate("axe.run({ resultTypes: ['violations'] })")) as AxeResults;
          const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          expect(
            serious.map(({ id, nodes }) => [id, nodes[0]?.html]),
            `${path} ${size.width}`,
          ).toEqual([]);
        }
      }
      const [text = 0, ground = 0] = (await page.evaluate(
        "['color', 'backgroundColor'].map((name) => Number(getComputedStyle(document.body)[name].match(/\\d+/)[0]))",
      )) as number[];
      expect(ground < text).toBe(colorScheme === "dark");
    });
  }

  it("holds a table of IPv6 addresses and long agents from 900 to 1440 pixels", async () => {
    await place.login("ipv6", "2001:db8:1111:2222:3333:4444:5555:6666", "y".repeat(300));
    await place.login("ipv6", "2001:db8::1", "Agent/1.0 ".repeat(30));
    for (const width of [900, 1000, 1024, 1100, 1440]) {
      await page.setViewportSize({ width, height: 800 });
      for (const path of ["user?id=ipv6", "sessions?q=2001:db8::1"]) {
        await page.goto(home + path);
        const measured = `[...document.querySelectorAll("tr")].map((row) => row.offsetHeight).concat(
          [...document.querySelectorAll(".data .button, .data code")].map((part) => {
            const [inner, outer] = [part, part.closest("td")].map((box) => box.getBoundingClientRect());
            return inner.right > outer.right || inner.left < outer.left ? 1000 : 0;
          }))`;
        const heights = await page.evaluate<number[]>(measured);
        expect(Math.max(...heights), `${path} ${width}`).toBeLessThan(200);
        expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
      }
    }
  });

  it("tells local time on hover, and loads itself again where that was chosen", async () => {
    await page.goto(`${home}?revoked=3`);
    const title = await page.locator("time").first().getAttribute("title");
    expect(title).toMatch(/ here\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    expect(await flash()).toBe("3 sessions revoked.");
    await page.getByRole("navigation", { name: "Refresh" }).getByRole("link", { name: "5 s" }).click();
    await page.waitForURL(`${home}?refresh=5`);
    expect(await page.getByRole("status").count()).toBe(0);
    const again = page.waitForEvent("load");
    await again;
    expect(page.url()).toBe(`${home}?refresh=5`);
    await page.getByRole("navigation", { name: "Refresh" }).getByRole("link", { name: "off" }).click();
    await page.waitForURL(home);
  });

  it("fits a phone without scrolling to the side, long names included", async () => {
    const long = "w".repeat(300);
    await place.login(long, "2001:db8:1111:2222:3333:4444:5555:6666", "y".repeat(300));
    await page.setViewportSize(PHONE);
    const user = `user?id=${long}`;
    await page.goto(home + user);
    // Each cell says what it is, as the heads are not seen.
    const head = "getComputedStyle(document.querySelector('td[data-head=Expires]'), '::before').content";
    expect(await page.evaluate(head)).toContain("Expires");
    // What says more than one thing stays beside it, too.
    const cells = "Math.max(...[...document.querySelectorAll('td')].map((cell) => cell.childElementCount))";
    await page.goto(`${home}user?${new URLSearchParams({ id: admin.userId ?? "" }).toString()}`);
    expect(await page.getByText("this one", { exact: true }).count()).toBe(1);
    expect(await page.evaluate(cells)).toBe(1);
    await page.goto(home + user);
    const end = (await page.getByRole("link", { name: /^Revoke the session/ }).getAttribute("href")) ?? "";
    for (const path of [...PAGES, "?range=week", "users?q=w", user, end]) {
      await page.goto(home + path);
      await openTables();
      const width = await page.evaluate("document.documentElement.scrollWidth");
      expect(width, path.slice(0, 40)).toBeLessThanOrEqual(PHONE.width);
    }
  });
});
