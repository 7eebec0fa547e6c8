import { mkdirSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { MemoryStore } from "../../src/index.ts";
import { createDemo } from "../../src/lib/cli/demo/app.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";

// Pictures of the demo, to look at: two browsers before and after a revoke. `node --import tsx test/cli/demo-screenshots.ts folder`
const folder = process.argv[2] ?? "demo-pictures";
mkdirSync(folder, { recursive: true });

const chromium = chromiumPath();
if (chromium === undefined) process.exit(1);
const server = http.createServer(createDemo(new MemoryStore({ cleanupInterval: 0 })).listener);
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
const { browser, close } = await startChromium(chromium);
// Two names of one server are two browsers.
const hosts = [`http://127.0.0.1:${port}/`, `http://localhost:${port}/`] as const;

async function logIn(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Hello, ada" }).waitFor();
}

for (const scheme of ["light", "dark"] as const) {
  for (const [kind, size] of [
    ["desktop", { width: 1280, height: 900 }],
    ["phone", { width: 380, height: 800 }],
  ] as const) {
    await browser.clearCookies();
    const [one, two] = [await browser.newPage(), await browser.newPage()];
    for (const page of [one, two]) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme: scheme });
    }
    const take = (page: Page, name: string, fullPage = true) =>
      page.screenshot({ path: join(folder, `${name}-${kind}-${scheme}.png`), fullPage });
    await one.goto(hosts[0]);
    await take(one, "login");
    await logIn(one, hosts[0]);
    await logIn(two, hosts[1]);
    await one.getByRole("button", { name: "Start the race" }).click();
    await one.getByText("pgstore kept 20 of 20").waitFor();
    await one.getByLabel("New note").fill("Buy a very good cookie");
    await one.getByRole("button", { name: "Add" }).click();
    await one.getByRole("button", { name: /^Revoke/ }).waitFor();
    await take(one, "before-one");
    await take(two, "before-two");
    await one
      .getByRole("button", { name: /^Revoke/ })
      .first()
      .click();
    await two.getByRole("dialog").waitFor();
    await take(one, "after-one");
    await take(two, "after-two", false);
    await one.getByRole("button", { name: "Log out everywhere" }).click();
    await one.getByRole("status").first().waitFor();
    await Promise.all([one.close(), two.close()]);
  }
}
await close();
server.close();
server.closeAllConnections();
