import { mkdirSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { MemoryStore } from "../../src/index.ts";
import { createDemo } from "../../src/lib/cli/demo/app.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";

// Makes the picture of the demo for the documentation: two browsers after a revoke. With a folder, all pictures to look at, into it.
const folder = process.argv[2];
const docs = fileURLToPath(new URL("../../docs/operate/demo.png", import.meta.url));
if (folder !== undefined) mkdirSync(folder, { recursive: true });

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

/** Puts the views of two browsers side by side. */
async function pair(...pages: Page[]): Promise<void> {
  const images: string[] = [];
  for (const page of pages) {
    await page.setViewportSize({ width: 760, height: 700 });
    images.push((await page.screenshot()).toString("base64"));
  }
  const both = await browser.newPage();
  await both.setViewportSize({ width: 1160, height: 552 });
  const views = images.map((image) => `<img src="data:image/png;base64,${image}" width="560" alt="">`);
  await both.setContent(
    `<style>body{margin:0;padding:16px;display:flex;gap:8px;background:#8a9a94}img{border-radius:8px}</style>${views.join("")}`,
  );
  await both.screenshot({ path: docs });
  await both.close();
}

for (const scheme of ["light", "dark"] as const) {
  if (folder === undefined && scheme === "dark") break;
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
    const take = async (page: Page, name: string, fullPage = true): Promise<void> => {
      if (folder === undefined) return;
      await page.screenshot({ path: join(folder, `${name}-${kind}-${scheme}.png`), fullPage });
    };
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
    if (kind === "desktop" && scheme === "light") await pair(one, two);
    await one.getByRole("button", { name: "Log out everywhere" }).click();
    await one.getByRole("status").first().waitFor();
    await Promise.all([one.close(), two.close()]);
  }
}
await close();
server.close();
server.closeAllConnections();
