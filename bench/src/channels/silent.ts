import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Undo } from "../env/undo.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** The one module that knows of channels, as it would be if there were none. */
const SILENT = `
const none = { hasSubscribers: false };
export const CHANNELS = { load: none, commit: none, batch: none, cleanup: none, "store-error": none };
export const EVENT_NAMES = [];
export function publish() {}
export function listen() { return () => {}; }
export function codeOf() { return ""; }
`;

/** The compiled library. */
export const built = join(root, "dist");

/**
 * Makes a copy of the compiled library that publishes nothing, which `undo` removes. Returns its folder.
 *
 * @throws Error when the module that is left out has other functions than the one in its place
 */
export async function silentCopy(undo: Undo): Promise<string> {
  // Beside node_modules of the root, where it finds its dependencies.
  const folder = mkdtempSync(join(root, "bench/silent-"));
  undo.add(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(built, folder, { recursive: true });
  writeFileSync(join(folder, "lib/core/events.js"), SILENT);
  const [real, silent] = await Promise.all(
    [built, folder].map(async (place) => {
      const module = (await import(pathToFileURL(join(place, "lib/core/events.js")).href)) as object;
      return Object.keys(module).toSorted().join(" ");
    }),
  );
  if (real !== silent) throw new Error(`the silent copy stands for other functions: ${real}`);
  return folder;
}
