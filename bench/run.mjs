// Makes ready what the benchmarks need (their packages, the built library), then starts them with the same arguments.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const bench = dirname(fileURLToPath(import.meta.url));
const root = dirname(bench);

/** Milliseconds since 1970 of a file's last change; 0 when there is none. */
const changedAt = (file) => (existsSync(file) ? statSync(file).mtimeMs : 0);

const newestIn = (folder) =>
  Math.max(...readdirSync(folder, { recursive: true }).map((name) => changedAt(join(folder, name))));

function npm(args, cwd) {
  const { status } = spawnSync("npm", args, { cwd, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
}

// npm writes this file at the end of an install.
const installed = changedAt(join(bench, "node_modules", ".package-lock.json"));
if (installed < changedAt(join(bench, "package-lock.json"))) npm(["ci", "--no-audit", "--no-fund"], bench);
if (changedAt(join(root, "dist", "index.js")) < newestIn(join(root, "src"))) npm(["run", "build"], root);

// Ctrl-C reaches the benchmarks as well: they tidy up, we wait for them.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
const main = ["--import", "tsx", join("src", "main.ts"), ...process.argv.slice(2)];
spawn(process.execPath, main, { cwd: bench, stdio: "inherit" }).on("exit", (code) => process.exit(code ?? 1));
