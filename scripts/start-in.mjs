// Makes ready what a folder with packages of its own needs (them, the built library), then starts its program.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Milliseconds since 1970 of a file's last change; 0 when there is none. */
const changedAt = (file) => (existsSync(file) ? statSync(file).mtimeMs : 0);

const newestIn = (folder) =>
  Math.max(...readdirSync(folder, { recursive: true }).map((name) => changedAt(join(folder, name))));

function npm(args, cwd) {
  const { status } = spawnSync("npm", args, { cwd, stdio: "inherit", shell: process.platform === "win32" });
  if (status !== 0) process.exit(status ?? 1);
}

/** Installs the packages of a folder, unless they are. */
export function installIn(folder) {
  // npm writes this file at the end of an install.
  const installed = changedAt(join(folder, "node_modules", ".package-lock.json"));
  if (installed < changedAt(join(folder, "package-lock.json"))) npm(["ci", "--no-audit", "--no-fund"], folder);
}

/** Runs a command in a folder, and ends with its exit code. */
export function runIn(folder, command, args) {
  // Ctrl-C reaches the other process as well: it tidies up, we wait for it.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
  const shell = process.platform === "win32" && command === "npm";
  spawn(command, args, { cwd: folder, stdio: "inherit", shell }).on("exit", (code) => process.exit(code ?? 1));
}

/** Passes on the arguments, and the exit code. */
export function startIn(folder) {
  installIn(folder);
  if (changedAt(join(root, "dist", "index.js")) < newestIn(join(root, "src"))) npm(["run", "build"], root);
  runIn(folder, process.execPath, ["--import", "tsx", join("src", "main.ts"), ...process.argv.slice(2)]);
}
