import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PGlite, type PGliteOptions } from "@electric-sql/pglite";

const cache = fileURLToPath(new URL("../../node_modules/.cache", import.meta.url));
const require = createRequire(import.meta.url);

/**
 * Opens an empty database of PGlite, in memory unless `dataDir` names a folder. The first one of a PGlite version takes seconds. It is kept beside the
 * installed packages, and later ones start from its copy in a fraction of the time.
 */
export async function openPglite(options: PGliteOptions = {}): Promise<PGlite> {
  const snapshot = join(cache, `pgstore-pglite-${await version()}.tar`);
  const stored = await readFile(snapshot).catch(() => undefined);
  if (stored !== undefined) return PGlite.create({ ...options, loadDataDir: new Blob([stored]) });
  const db = await PGlite.create(options);
  await mkdir(cache, { recursive: true });
  // Another process may be doing the same: each writes a file of its own, and the last rename stays.
  const written = `${snapshot}.${process.pid}`;
  await writeFile(written, new Uint8Array(await (await db.dumpDataDir("none")).arrayBuffer()));
  await rename(written, snapshot);
  return db;
}

async function version(): Promise<string> {
  const entry = require.resolve("@electric-sql/pglite");
  const text = await readFile(join(entry, "../../package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
