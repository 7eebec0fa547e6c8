import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

const PATHS = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of a Chromium. Undefined when none is installed. */
export function chromiumPath(): string | undefined {
  const path = PATHS.find((candidate) => candidate !== undefined && existsSync(candidate));
  if (path === undefined) {
    console.warn("There is no Chromium here, so the tests in it are skipped; on Debian: apt-get install chromium");
  }
  return path;
}

/** Starts a headless Chromium with a profile of its own, which is removed when it closes. */
export async function startChromium(path: string): Promise<{ browser: BrowserContext; close(): Promise<void> }> {
  const profile = mkdtempSync(join(tmpdir(), "pgstore-chromium-"));
  // Nothing but the pages of the test: no updates, no look-ups at its maker's. Debian's sandbox refuses root.
  const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ];
  const browser = await chromium.launchPersistentContext(profile, { executablePath: path, headless: true, args });
  const close = async (): Promise<void> => {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  };
  return { browser, close };
}
