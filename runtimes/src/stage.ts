import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const source = join(root, "src");

/** Where the suite is, beside the packed library, as a user has it. */
export interface Stage {
  folder: string;
  /** The whole suite in one file. */
  suite: string;
  remove(): void;
}

/** Packs the library into node_modules of a new folder, which is in the repository for the sake of the other packages. */
export async function makeStage(): Promise<Stage> {
  const folder = mkdtempSync(join(dirname(here), "stage-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  try {
    const library = join(folder, "node_modules", "pgstore");
    mkdirSync(library, { recursive: true });
    const npm = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
    const packed = execFileSync("npm", npm, { cwd: root, encoding: "utf8", shell: process.platform === "win32" });
    const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
    execFileSync("tar", ["-xzf", filename, "-C", relative(folder, library), "--strip-components=1"], { cwd: folder });
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
    const suite = join(folder, "suite.js");
    await build({
      entryPoints: [join(here, "suite", "main.ts")],
      outfile: suite,
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      packages: "external",
      plugins: [packedLibrary],
    });
    return { folder, suite, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Puts the packed library in the place of its sources: by the name of an entry, or by path for what has none. */
const packedLibrary: Plugin = {
  name: "packed library",
  setup({ onResolve }) {
    onResolve({ filter: /^\..*\.ts$/ }, ({ path, resolveDir }) => {
      const file = relative(source, join(resolveDir, path)).replaceAll("\\", "/");
      if (file.startsWith("../")) return undefined;
      const name = file.replace(/\.ts$/, "");
      const inPackage = name.includes("/") ? `./node_modules/pgstore/dist/${name}.js` : `pgstore/${name}`;
      return { path: name === "index" ? "pgstore" : inPackage, external: true };
    });
  },
};
