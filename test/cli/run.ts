import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { main } from "../../src/lib/cli/main.ts";
import { bundleOf } from "../support/bundle.ts";
import { environment } from "../support/undertaker.ts";

/** What a command has said. */
export interface Said {
  code: number | null;
  out: string;
  err: string;
}

/** Runs a command in this process. */
export async function pgstore(...args: string[]): Promise<Said> {
  const said = { out: "", err: "" };
  const code = await main(args, {
    out: (text) => (said.out += text),
    err: (text) => (said.err += text),
  });
  return { code, ...said };
}

/** Runs a command with --json, and reads the document. */
export async function pgstoreJson(...args: string[]): Promise<{ code: number | null; json: Record<string, unknown> }> {
  const { code, out } = await pgstore(...args, "--json");
  return { code, json: JSON.parse(out) as Record<string, unknown> };
}

/** The command line as a program of its own. */
export interface Program {
  start(args: string[], env?: Record<string, string>, cwd?: string): ChildProcess;
  run(args: string[], env?: Record<string, string>, cwd?: string): Promise<Said>;
}

export async function makeProgram(): Promise<Program> {
  const file = await bundleOf(new URL("../../src/cli.ts", import.meta.url));
  const start: Program["start"] = (args, env = {}, cwd) =>
    spawn(process.execPath, [file, ...args], {
      env: { ...withoutUrl(), ...env },
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
    });
  return {
    start,
    async run(args, env, cwd) {
      const child = start(args, env, cwd);
      const said = collect(child);
      const [code] = (await once(child, "close")) as [number | null];
      return { code, ...said() };
    },
  };
}

/** What a program has said so far. */
export function collect(child: ChildProcess): () => { out: string; err: string } {
  const said = { out: "", err: "" };
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (said.out += chunk));
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (said.err += chunk));
  return () => ({ ...said });
}

function withoutUrl(): NodeJS.ProcessEnv {
  const { DATABASE_URL: _, ...rest } = environment();
  return rest;
}
