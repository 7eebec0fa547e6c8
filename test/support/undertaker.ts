import { spawn } from "node:child_process";
import type net from "node:net";
import { dirname } from "node:path";

/** This process's environment without variables that steer PostgreSQL's programs or Node. */
export function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:PG|NODE_)/.test(name)));
}

/** Ends a server that its process has left behind. */
export interface Undertaker {
  /** Names the process to end. Undefined: none. */
  watch(pid: number | undefined): void;
  /** Dismisses it, when nothing is left to remove. */
  dismiss(): void;
}

/**
 * Ends the process and removes the folder. SIGQUIT lets PostgreSQL free its shared memory, which is done when
 * postmaster.pid is gone. The process's number says less: not every container collects orphans.
 */
const SCRIPT = `
  const { existsSync, rmSync } = require("node:fs");
  const [folder] = process.argv.slice(1);
  const signal = (name) => { try { return process.kill(pid, name); } catch { return false; } };
  const isBusy = () => signal(0) && existsSync(folder + "/data/postmaster.pid");
  let pid = 0;
  process.stdin.setEncoding("utf8").on("data", (lines) => { pid = Number(lines.trim().split("\\n").at(-1)); });
  process.stdin.on("end", async () => {
    if (pid > 0) {
      signal("SIGQUIT");
      for (let n = 0; n < 500 && isBusy(); n++) await new Promise((resolve) => setTimeout(resolve, 20));
      signal("SIGKILL");
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });`;

/**
 * Starts a process that learns by the end of its standard input that this process is gone, and then ends the server and
 * removes its folder. An exit hook would not run after SIGKILL, nor, in vitest's workers, after SIGTERM.
 */
export function startUndertaker(folder: string): Undertaker {
  const child = spawn(process.execPath, ["-e", SCRIPT, folder], {
    cwd: dirname(folder),
    env: environment(),
    stdio: ["pipe", "ignore", "ignore"],
    // In a session of its own: Ctrl-C and signals to the tests' process group don't reach it.
    detached: true,
  });
  child.unref();
  child.stdin.on("error", () => {});
  (child.stdin as net.Socket).unref();
  return {
    watch: (pid) => void child.stdin.write(`${pid ?? 0}\n`),
    dismiss: () => void child.kill("SIGKILL"),
  };
}
