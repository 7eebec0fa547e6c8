import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { root } from "../support/pages.ts";

const chromium = chromiumPath();
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const dist = join(root, "docs/.vitepress/dist");
const TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};
/** One of each kind: the home page, text with code, wide tables, an index, the generated reference. */
const PAGES = [
  "/",
  "/start",
  "/guides/express",
  "/recipes/password-login",
  "/options",
  "/why",
  "/benchmarks/",
  "/api/pgstore/",
];
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1360, height: 900 } };

/** What axe-core answers. */
interface AxeResults {
  violations: { id: string; impact: string; nodes: { html: string }[] }[];
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").replace(/\/$/, "/index");
  const file = join(dist, extname(path) === "" ? `${path}.html` : path);
  const body = await readFile(file).catch(() => undefined);
  response.writeHead(body === undefined ? 404 : 200, {
    "Content-Type": TYPES[extname(file)] ?? "application/octet-stream",
  });
  response.end(body);
}

describe.skipIf(chromium === undefined)("the documentation site", () => {
  let server: Server;
  let home: string;
  let browser: BrowserContext;
  let close: () => Promise<void>;
  let page: Page;

  beforeAll(async () => {
    execFileSync(process.execPath, ["docs/run.mjs", "build"], { cwd: root, stdio: "inherit" });
    server = createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    home = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    ({ browser, close } = await startChromium(chromium ?? ""));
    page = await browser.newPage();
  }, 600_000);
  afterAll(async () => {
    await close?.();
    server?.close();
    server?.closeAllConnections();
  });

  for (const colorScheme of ["light", "dark"] as const) {
    for (const [name, size] of Object.entries(SIZES)) {
      it(`has nothing serious that axe-core could find, and nothing wider than the window, ${name}, ${colorScheme}`, async () => {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(size);
        for (const path of PAGES) {
          expect((await page.goto(home + path))?.status(), path).toBe(200);
          await page.evaluate(axe);
          const { violations } = (await page.evaluate("axe.run({ resultTypes: ['violations'] })")) as AxeResults;
          const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          expect(
            serious.map(({ id, nodes }) => [id, nodes[0]?.html]),
            path,
          ).toEqual([]);
          expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth"), path).toBeLessThanOrEqual(0);
        }
      });
    }
  }

  it("finds a page by a word in its text", async () => {
    await page.setViewportSize(SIZES.desktop);
    await page.goto(`${home}/start`);
    await page.click(".DocSearch-Button");
    await page.fill(".VPLocalSearchBox input", "impersonation");
    const result = page.locator(".VPLocalSearchBox .result").first();
    await result.waitFor();
    expect(await result.textContent()).toContain("Impersonation");
  });
});
