import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = join(dirname(dirname(fileURLToPath(import.meta.url))), "node_modules");
const root = dirname(dirname(packages));

/** How a runtime is started. */
export interface Runtime {
  command: string;
  /** What comes before the file. */
  args: string[];
  env: Record<string, string>;
}

const NODE_LINES = [20, 22, 24, 26];

/** All that the suite needs of Deno. */
const DENO_FLAGS = [
  "--allow-net=127.0.0.1",
  "--allow-env",
  `--allow-read=${root}`,
  "--node-modules-dir=manual",
  "--no-lock",
  "--cached-only",
  "--no-prompt",
];

/**
 * Each runtime by the name that the command takes; undefined where npm has none for this platform.
 *
 * @param scratch - a folder that is removed after the run
 */
export const runtimes: Record<string, (scratch: string) => Runtime | undefined> = {
  ...Object.fromEntries(NODE_LINES.map((line) => [`node-${line}`, () => node(line)])),
  bun: () =>
    runtime(inScope("@oven", "bin/bun"), ["--no-install"], {
      BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
      DO_NOT_TRACK: "1",
    }),
  deno: (scratch) =>
    runtime(inScope("@deno", "deno"), ["run", ...DENO_FLAGS], {
      DENO_DIR: join(scratch, "deno"),
      DENO_NO_UPDATE_CHECK: "1",
    }),
};

function node(line: number): Runtime | undefined {
  return runtime(join(packages, `node-${line}-${process.platform}-${process.arch}`, "bin", "node"), [], {});
}

function runtime(command: string | undefined, args: string[], env: Record<string, string>): Runtime | undefined {
  return command === undefined || !existsSync(command) ? undefined : { command, args, env };
}

/** Of a scope's packages with binaries, npm installs the one for this platform. */
function inScope(scope: string, path: string): string | undefined {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const names = existsSync(join(packages, scope)) ? readdirSync(join(packages, scope)) : [];
  return names.map((name) => join(packages, scope, name, path + suffix)).find(existsSync);
}
