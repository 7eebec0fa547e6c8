import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
// As deep as the package has its files, and where Node finds the dependencies.
const folderOf = (run: number): string => join(root, "node_modules/.cache", `pgstore-tests-${run}`);
const bundles = new Map<string, Promise<string>>();

/**
 * Bundles a test program into one file, which starts in a third of the time of the sources.
 *
 * @param source - a URL of a file
 */
export function bundleOf(source: URL): Promise<string> {
  let made = bundles.get(source.href);
  if (made === undefined) {
    made = bundle(source);
    bundles.set(source.href, made);
  }
  return made;
}

async function bundle(source: URL): Promise<string> {
  // The run's process has begun this one.
  const folder = folderOf(process.ppid);
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${process.pid}-${bundles.size}.mjs`);
  await build({
    entryPoints: [fileURLToPath(source)],
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    outfile,
  });
  return outfile;
}

/** Removes the bundles of this process's run. */
export function removeBundles(): void {
  rmSync(folderOf(process.pid), { recursive: true, force: true });
}
