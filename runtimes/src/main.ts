import { spawn } from "node:child_process";
import { once } from "node:events";
import pg from "pg";
import { startPostgres } from "../../test/support/postgres-server.ts";
import { type Runtime, runtimes } from "./runtimes.ts";
import { makeStage } from "./stage.ts";

const RUN_MS = 300_000;

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => interrupted.abort());

/** The names of runtimes that the arguments mean: `node` is every line of it. */
function chosen(args: string[]): string[] {
  const names = Object.keys(runtimes);
  if (args.length === 0) return names;
  return args.flatMap((arg) => {
    const meant = names.filter((name) => name === arg || name.startsWith(`${arg}-`));
    if (meant.length === 0) throw new Error(`${arg} is none of: ${names.join(", ")}, node`);
    return meant;
  });
}

async function main(): Promise<boolean> {
  const names = chosen(process.argv.slice(2));
  const stage = await makeStage();
  try {
    const server = await startPostgres();
    try {
      const failed: string[] = [];
      for (const name of names) {
        const url = await createDatabase(server.url, `on_${name.replace("-", "_")}`);
        const runtime = runtimes[name]?.(stage.folder);
        if (runtime === undefined) console.error(`npm has no ${name} for ${process.platform}-${process.arch}`);
        if (runtime === undefined || !(await run(runtime, [stage.suite, url]))) failed.push(name);
      }
      if (failed.length > 0) console.error(`failed: ${failed.join(", ")}`);
      return failed.length === 0;
    } finally {
      await server.stop();
    }
  } finally {
    stage.remove();
  }
}

async function createDatabase(server: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${name}`);
  } finally {
    await client.end();
  }
  const url = new URL(server);
  url.pathname = name;
  return url.href;
}

/** Resolves to whether the process has ended well. */
async function run({ command, args, env }: Runtime, more: string[]): Promise<boolean> {
  const child = spawn(command, [...args, ...more], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
    signal: interrupted.signal,
    timeout: RUN_MS,
    killSignal: "SIGKILL",
  });
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  if (signal !== null) console.error(`ended by ${signal}`);
  return code === 0;
}

process.exitCode = (await main()) ? 0 : 1;
