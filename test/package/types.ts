import { cpSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./tarball.ts";

const types = fileURLToPath(new URL("../types", import.meta.url));

/** The folders of `test/types`: programs apart, as what one declares counts for all of its files. */
export const TYPE_PROJECTS: readonly string[] = readdirSync(types, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/**
 * Compiles a program of `test/types` in a folder with the packed library.
 *
 * @param tsc - the compiler's script
 * @param options - compiler options beside those of the program
 * @throws Error with the compiler's errors
 */
export async function checkTypes(folder: string, project: string, tsc: string, options: object = {}): Promise<void> {
  const target = mkdtempSync(join(folder, "types-"));
  cpSync(types, target, { recursive: true });
  writeFileSync(join(target, "package.json"), JSON.stringify({ type: "module" }));
  const config = join(target, project, "tsconfig.here.json");
  writeFileSync(config, JSON.stringify({ extends: "./tsconfig.json", compilerOptions: options }));
  await run(process.execPath, [tsc, "-p", config], folder);
}
