import { run } from "./tarball.ts";

/** Runs in a thread of its own; writes past every buffer. */
const HOOKS = `
  import { writeSync } from "node:fs";
  export async function load(url, context, next) {
    writeSync(1, url + "\\n");
    return next(url, context);
  }`;

/** What CommonJS modules require, the hooks don't see in every version of Node; the cache has it. */
const SCRIPT = `
  import { createRequire, register } from "node:module";
  import { writeSync } from "node:fs";
  register("data:text/javascript," + encodeURIComponent(${JSON.stringify(HOOKS)}));
  for (const name of process.argv.slice(1)) await import(name);
  for (const path of Object.keys(createRequire(process.cwd() + "/").cache)) writeSync(1, "file://" + path + "\\n");`;

/** Imports modules in a process of its own, in a folder, and returns the sorted names of all packages that this loads. */
export async function loadedPackages(folder: string, modules: string[]): Promise<string[]> {
  const output = await run(process.execPath, ["--input-type=module", "-e", SCRIPT, ...modules], folder);
  const names = output.split("\n").map((url) => /^file:.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? "");
  return [...new Set(names)].filter((name) => name !== "").toSorted();
}
