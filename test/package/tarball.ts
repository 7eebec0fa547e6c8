import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { environment } from "../support/undertaker.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What a checkout does not have, and what other tests may write to just now. */
const NOT_COPIED =
  /^(?:node_modules|dist|coverage|\.git|results|pgstore-data.*|.*\.timestamp-.*|\.next|\.astro|\.svelte-kit|\.react-router|stage-.*|.*\.tgz)$/;

/** The manifest as far as tests read it. */
export interface Manifest {
  exports: Record<string, string | object>;
  version: string;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, object>;
}

/** The package as it would be published, and two folders in which it is installed from there. */
export interface Packed {
  readonly tarball: string;
  /** A folder whose node_modules has pgstore and its dependencies, and nothing else. */
  readonly bare: string;
  /** A folder whose node_modules also has all that this repository has. */
  readonly full: string;
  readonly manifest: Manifest;
  remove(): void;
}

/** Runs `npm pack`, scripts included, on a copy of the repository: other tests run from its `dist` meanwhile. */
export async function pack(): Promise<Packed> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "pgstore-package-")));
  try {
    const source = join(folder, "source");
    const filter = (path: string): boolean => !NOT_COPIED.test(basename(path));
    for (const name of readdirSync(root).filter(filter)) {
      cpSync(join(root, name), join(source, name), { recursive: true, filter });
    }
    symlinkSync(join(root, "node_modules"), join(source, "node_modules"));
    const env = { ...environment(), npm_config_offline: "true", npm_config_update_notifier: "false" };
    await run("npm", ["pack", "--pack-destination", folder], source, env);
    const tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "");
    const [bare, full] = [join(folder, "bare"), join(folder, "full")];
    for (const target of [bare, full]) await install(tarball, target);
    const manifest = JSON.parse(readFileSync(join(bare, "node_modules/pgstore/package.json"), "utf8")) as Manifest;
    link(bare, Object.keys(manifest.dependencies));
    link(
      full,
      readdirSync(join(root, "node_modules")).filter((name) => !name.startsWith(".")),
    );
    const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    return { tarball, bare, full, manifest, remove };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    throw error;
  }
}

async function install(tarball: string, folder: string): Promise<void> {
  const target = join(folder, "node_modules/pgstore");
  mkdirSync(target, { recursive: true });
  await run("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"], folder, environment());
}

/** There is no network; what npm has installed here is what it would install there. */
function link(folder: string, names: string[]): void {
  for (const name of names) {
    const target = join(folder, "node_modules", name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(root, "node_modules", name), target);
  }
}

/** Runs a program and resolves to what it printed. @throws Error with all that it said */
export async function run(command: string, args: string[], cwd: string, env = environment()): Promise<string> {
  try {
    return (await promisify(execFile)(command, args, { cwd, env })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(`${basename(command)} ${args[0] ?? ""} failed:\n${stdout ?? ""}${stderr ?? ""}`, { cause: error });
  }
}
