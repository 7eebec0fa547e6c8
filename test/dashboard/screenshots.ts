import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { dashboard } from "../../src/dashboard.ts";
import { PgStore, SessionManager } from "../../src/index.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { startPostgres } from "../support/postgres-server.ts";
import { ADA, fill } from "./fill.ts";

// Makes the pictures of the README again: `npm run screenshots`, or into another folder, `-- folder`.
const folder = process.argv[2] ?? fileURLToPath(new URL("../../docs/operate", import.meta.url));

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const user = `user?${new URLSearchParams({ id: ADA }).toString()}`;

const PICTURES = [
  { file: "dashboard-light.png", path: "?range=day", size: DESKTOP, scheme: "light" },
  { file: "dashboard-dark.png", path: user, size: { width: 1280, height: 560 }, scheme: "dark" },
  { file: "dashboard-phone.png", path: "?range=day", size: PHONE, scheme: "light" },
] as const;

/** For looking at, not for the README. */
const MORE = [
  { file: "overview-dark.png", path: "?range=week", size: DESKTOP, scheme: "dark" },
  { file: "hour.png", path: "", size: DESKTOP, scheme: "light" },
  { file: "user-light.png", path: user, size: DESKTOP, scheme: "light" },
  { file: "user-phone.png", path: user, size: PHONE, scheme: "dark" },
  { file: "users.png", path: "users?q=al", size: DESKTOP, scheme: "light" },
  { file: "users-phone.png", path: "users", size: PHONE, scheme: "light" },
  { file: "end.png", path: `end?user=${ADA}`, size: DESKTOP, scheme: "light" },
  { file: "end-everyone.png", path: "end?everyone=1", size: DESKTOP, scheme: "light" },
  { file: "end-everyone-phone.png", path: "end?everyone=1", size: PHONE, scheme: "dark" },
  { file: "overview-ended.png", path: "?ended=1234", size: DESKTOP, scheme: "light" },
] as const;

const chromium = chromiumPath();
if (chromium === undefined) process.exit(1);
const postgres = await startPostgres();
const pool = new pg.Pool({ connectionString: postgres.url });
pool.on("error", () => {});
const store = new PgStore(pool, { cleanupInterval: 0 });
await store.migrate();
await fill(pool);
const sessions = dashboard(new SessionManager(store), { authorize: () => true });
const server = http.createServer((request, response) => sessions(request, response));
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { browser, close } = await startChromium(chromium);
const page = await browser.newPage();
for (const { file, path, size, scheme } of process.argv[2] === undefined ? PICTURES : [...PICTURES, ...MORE]) {
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: scheme });
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`);
  await page.screenshot({ path: join(folder, file), fullPage: true });
}
await close();
server.close();
server.closeAllConnections();
await pool.end();
await postgres.stop();
