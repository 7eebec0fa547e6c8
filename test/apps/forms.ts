import type pg from "pg";
import { type Page } from "playwright-core";
import { expect } from "vitest";
import type { Example } from "../package/walk.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";

/** Uses the pages of an example in Chromium, with scripts and, if it allows that, without, if there is a Chromium. */
export async function useForms(example: Example, url: string, pool: pg.Pool): Promise<void> {
  const path = chromiumPath();
  if (path === undefined) return;
  const { browser, close } = await startChromium(path);
  try {
    for (const withScripts of example.pages === "with scripts" ? [true] : [true, false]) {
      const page = await browser.newPage();
      const errors: Error[] = [];
      page.on("pageerror", (error) => errors.push(error));
      if (!withScripts)
        await page.route("**/*", (route) => (isScript(route.request()) ? route.abort() : route.continue()));
      await logInAndOut(example, url, page, pool, withScripts ? "ada" : "bob");
      // A page without its scripts complains of that.
      if (withScripts) expect(errors).toEqual([]);
      await page.close();
    }
  } finally {
    await close();
  }
}

const isScript = (request: { resourceType(): string }): boolean => request.resourceType() === "script";

async function logInAndOut(example: Example, url: string, page: Page, pool: pg.Pool, user: string): Promise<void> {
  const greets = async (name: string): Promise<void> => {
    await page.getByText(`Hello, ${name}!`).waitFor();
  };
  const cookie = async () => (await page.context().cookies(url)).find(({ name }) => name === "session");
  const add = async (note: string): Promise<void> => {
    await page.getByLabel("Note").fill(note);
    await page.getByRole("button", { name: "Add" }).click();
    await page.getByRole("listitem").filter({ hasText: note }).waitFor();
  };

  await page.goto(url, { waitUntil: "networkidle" });
  await greets("stranger");
  expect(await cookie()).toBe(undefined);
  await add("Buy milk");
  const anonymous = await cookie();
  expect(anonymous).toMatchObject({ httpOnly: true, sameSite: "Lax", expires: -1 });

  await page.getByLabel("Name").fill("4");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByText("Your name has letters from a to z.").waitFor();
  await page.getByLabel("Name").fill(user);
  await page.getByLabel("Remember me").check();
  await page.getByRole("button", { name: "Log in" }).click();
  await greets(user);
  await page.waitForURL(`${url}/account`);
  const remembered = await cookie();
  expect(remembered?.value).not.toBe(anonymous?.value);
  expect(remembered?.expires).toBeGreaterThan(Date.now() / 1000 + 6 * 24 * 3600);
  await page.getByText("this browser").waitFor();

  // The visitor's notes are the user's.
  await page.goto(url, { waitUntil: "networkidle" });
  await page.getByRole("listitem").filter({ hasText: "Buy milk" }).waitFor();
  await add("Brot & Käse");
  expect((await cookie())?.value).toBe(remembered?.value);

  const other = example.client(url);
  expect(await other.post("/login", { user })).toBe(example.posted);
  await page.goto(`${url}/account`, { waitUntil: "networkidle" });
  expect(await page.getByRole("listitem").count()).toBe(2);
  await page.getByRole("button", { name: "Log out everywhere" }).click();
  await greets("stranger");
  expect(await cookie()).toBe(undefined);
  expect(await other.read()).toEqual({ notes: [] });
  const live = "SELECT FROM sessions WHERE expiry > now() AND user_id = $1";
  expect((await pool.query(live, [user])).rowCount).toBe(0);
}
