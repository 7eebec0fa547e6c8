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

/** Each runtime by the name that the command takes. @param scratch - a folder that is removed after the run */
export const runtimes: Record<string, (scratch: string) => Runtime> = {
  ...Object.fromEntries([20, 22, 24, 26].map((line) => [`node-${line}`, () => node(line)])),
  bun: () => ({
    command: binary("@oven", "bin/bun"),
    args: ["--no-install"],
    env: { BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0", DO_NOT_TRACK: "1" },
  }),
  deno: (scratch) => ({
    command: binary("@deno", "deno"),
    args: ["run", ...DENO_FLAGS],
    env: { DENO_DIR: join(scratch, "deno"), DENO_NO_UPDATE_CHECK: "1" },
  }),
};

function node(line: number): Runtime {
  const name = `node-${line}-${process.platform}-${process.arch}`;
  const command = join(packages, name, "bin", "node");
  if (!existsSync(command)) throw new Error(`there is no ${name} among the packages of runtimes/package.json`);
  return { command, args: [], env: {} };
}

/** npm installs, of a scope's packages with binaries, the one for this platform. */
function binary(scope: string, path: string): string {
  const suffix = process.platform === "win32" ? ".exe" : "";
  const names = existsSync(join(packages, scope)) ? readdirSync(join(packages, scope)) : [];
  const found = names.map((name) => join(packages, scope, name, path + suffix)).find(existsSync);
  if (found === undefined)
    throw new Error(`no package of ${scope} for ${process.platform}-${process.arch} is installed`);
  return found;
}
