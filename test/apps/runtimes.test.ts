import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, it } from "vitest";
import { runtimes } from "../../runtimes/src/runtimes.ts";
import { startExample } from "../package/example-process.ts";
import { pack, type Packed } from "../package/tarball.ts";
import { RUNTIME_EXAMPLES, walkThrough } from "../package/walk.ts";
import { createDatabase } from "../support/database.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** The arguments that examples/README.md names. */
const ARGS: Record<string, string[]> = {
  bun: [],
  deno: ["run", "--allow-net", "--allow-env", "--allow-read"],
};

let packed: Packed;
beforeAll(async () => {
  packed = await pack();
  for (const file of Object.keys(RUNTIME_EXAMPLES)) cpSync(join(root, "examples", file), join(packed.full, file));
  writeFileSync(join(packed.full, "package.json"), JSON.stringify({ private: true, type: "module" }));
});
afterAll(() => packed?.remove());

describe("runtimes", () => {
  for (const [file, example] of Object.entries(RUNTIME_EXAMPLES)) {
    it(file, async ({ onTestFinished }) => {
      const name = file.replace(".ts", "");
      const runtime = runtimes[name]?.(packed.full);
      if (runtime === undefined) throw new Error(`npm ci --prefix runtimes has installed no ${name}`);
      const program = { folder: packed.full, command: runtime.command, args: [...(ARGS[name] ?? []), file] };
      const database = await createDatabase({ template: false });
      onTestFinished(() => database.drop());
      const running = await startExample({ ...program, env: () => runtime.env }, database.url, onTestFinished);
      await walkThrough(example, running, database.pool({ max: 1 }));
    });
  }
});
