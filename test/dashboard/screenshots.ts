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

const user = `user?${new URLSearchParams({ id: ADA }).toString()}`;

const PICTURES = [
  { file: "dashboard-light.png", path: "?range=day", width: 1280, scheme: "light" },
  { file: "dashboard-dark.png", path: user, width: 1280, scheme: "dark" },
  { file: "dashboard-phone.png", path: "?range=day", width: 390, scheme: "light" },
] as const;

/** Pages to look at, in each width and scheme. */
const LOOKED_AT: Record<string, string> = {
  overview: "?range=week",
  "overview-revoked": "?revoked=1234&refresh=30",
  user,
  users: "users",
  "users-sorted": "users?sort=sessions&page=2",
  "users-none": "users?q=zzz",
  address: "sessions?q=192.0.2.17",
  "address-none": "sessions?q=2001:db8::1",
  revoke: `revoke?user=${ADA}`,
  "revoke-everyone": "revoke?everyone=1",
};
const WIDTHS = [380, 900, 1024, 1440];

/** Pages of a table that has not been migrated, and of one that is new. */
const OTHERS: Record<string, string> = { missing: "users", scs: "", new: "" };

const chromium = chromiumPath();
if (chromium === undefined) process.exit(1);
const postgres = await startPostgres();
const pool = new pg.Pool({ connectionString: postgres.url });
pool.on("error", () => {});
const store = new PgStore(pool, { cleanupInterval: 0 });
await store.migrate();
await fill(pool);

const names: Record<string, string> = { [ADA]: "Ada Lovelace", "alan.000@example.com": "Alan Turing" };
const describeUser = (ids: string[]): Map<string, { name?: string; href: string }> =>
  new Map(ids.map((id) => [id, { ...(names[id] === undefined ? {} : { name: names[id] }), href: `/users/${id}` }]));
const managerOf = (table: string): SessionManager =>
  new SessionManager(new PgStore(pool, { cleanupInterval: 0, table }));
await pool.query(
  "CREATE TABLE scs (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL); CREATE INDEX ON scs (expiry)",
);
await new PgStore(pool, { cleanupInterval: 0, table: "new" }).migrate();
const shop = dashboard(new SessionManager(store), { authorize: () => true, title: "Shop sessions", describeUser });
const mounts = Object.keys(OTHERS).map((name) => {
  const prefix = `/${name}`;
  return dashboard(managerOf(name), { authorize: () => true, prefix });
});
const server = http.createServer((request, response) => {
  const at = Object.keys(OTHERS).findIndex((name) => request.url?.startsWith(`/${name}/`) === true);
  (mounts[at] ?? shop)(request, response);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
const { browser, close } = await startChromium(chromium);
const page = await browser.newPage();

async function take(file: string, path: string, width: number, scheme: "light" | "dark"): Promise<void> {
  await page.setViewportSize({ width, height: 560 });
  await page.emulateMedia({ colorScheme: scheme });
  await page.goto(origin + path);
  await page.screenshot({ path: join(folder, file), fullPage: true });
}

for (const { file, path, width, scheme } of PICTURES) await take(file, path, width, scheme);
if (process.argv[2] !== undefined) {
  for (const scheme of ["light", "dark"] as const) {
    for (const width of WIDTHS) {
      for (const [name, path] of Object.entries(LOOKED_AT))
        await take(`${name}-${width}-${scheme}.png`, path, width, scheme);
    }
    for (const [name, path] of Object.entries(OTHERS))
      await take(`${name}-${scheme}.png`, `${name}/${path}`, 1024, scheme);
  }
}
await close();
server.close();
server.closeAllConnections();
await pool.end();
await postgres.stop();
