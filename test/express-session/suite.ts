/**
 * Runs express-session's own test suite with our store in place of its MemoryStore, on both layouts. The package on npm comes
 * without its tests, so the folder of a checkout of github.com/expressjs/session is the argument. Needs `npm run build`.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startPostgres } from "../support/postgres-server.ts";

const [checkout] = process.argv.slice(2);
if (checkout === undefined) throw new TypeError("name the folder of a checkout of github.com/expressjs/session");

const folder = mkdtempSync(join(tmpdir(), "pgstore-suite-"));
const server = await startPostgres();
try {
  cpSync(checkout, folder, { recursive: true, filter: (path) => ![".git", "node_modules"].includes(basename(path)) });
  const npm = ["install", "--no-audit", "--no-fund", "--ignore-scripts"];
  for (const [command, ...args] of [["npm", ...npm] as const, ["sh", "test/support/gencert.sh"] as const]) {
    const { status, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${stderr}`);
  }
  copyFileSync(fileURLToPath(new URL("suite-store.cjs", import.meta.url)), join(folder, "session", "memory.js"));
  for (const layout of ["pgstore", "connect-pg-simple"]) {
    console.log(`${layout}:`);
    const env = {
      ...process.env,
      SUITE_LIBRARY: fileURLToPath(new URL("../../dist/express-session.js", import.meta.url)),
      SUITE_PG: createRequire(import.meta.url).resolve("pg"),
      SUITE_URL: server.url,
      SUITE_LAYOUT: layout,
    };
    const mocha = ["mocha", "--require", "test/support/env", "--check-leaks", "--exit", "--reporter", "dot", "test/"];
    const child = spawn("npx", mocha, { cwd: folder, env, stdio: "inherit" });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) process.exitCode = 1;
  }
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
