import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type Program, startExample } from "../package/example-process.ts";
import { pack, type Packed, run } from "../package/tarball.ts";
import { APPS, walkThrough } from "../package/walk.ts";
import { createDatabase } from "../support/database.ts";
import { environment } from "../support/undertaker.ts";
import { useForms } from "./forms.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What `npm start` gives Node: npm itself would not hand on the signal that ends it. */
const START: Record<string, string[]> = {
  apollo: ["--import", "tsx", "server.ts"],
  astro: ["server.mjs"],
  nestjs: ["dist/main.js"],
  nextjs: ["node_modules/.bin/next", "start", "-H", "127.0.0.1"],
  "react-router": ["node_modules/.bin/react-router-serve", "build/server/index.js"],
  sveltekit: ["build"],
  "tanstack-start": ["server.mjs"],
  trpc: ["--import", "tsx", "server.ts"],
};

const NPM = ["install", "--prefer-offline", "--no-audit", "--no-fund"];

let packed: Packed;
beforeAll(async () => {
  packed = await pack();
});
afterAll(() => packed?.remove());

/** Installs an application with the packed library, checks its types and builds it, as a user would. */
async function build(name: string): Promise<Program> {
  const folder = join(dirname(packed.tarball), name);
  const isSource = (path: string): boolean =>
    !/[\\/](?:node_modules|build|dist|\.[a-z-]+|package-lock\.json)$/.test(path);
  cpSync(join(root, "examples", name), folder, { recursive: true, filter: isSource });
  const file = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as { dependencies: Record<string, string> };
  manifest.dependencies["pgstore"] = `file:${packed.tarball}`;
  writeFileSync(file, JSON.stringify(manifest));
  const own = Object.entries(environment()).filter(([variable]) => !variable.startsWith("VITEST"));
  const env = { ...Object.fromEntries(own), NEXT_TELEMETRY_DISABLED: "1", ASTRO_TELEMETRY_DISABLED: "1" };
  for (const args of [NPM, ["run", "build", "--if-present"], ["run", "types", "--if-present"]])
    await run("npm", args, folder, env);
  return {
    folder,
    command: process.execPath,
    args: START[name] ?? [],
    env: (url) => ({ HOST: "127.0.0.1", ORIGIN: url, NODE_ENV: "production", NEXT_TELEMETRY_DISABLED: "1" }),
  };
}

describe("applications", () => {
  for (const [name, example] of Object.entries(APPS)) {
    it(name, async ({ onTestFinished }) => {
      const program = await build(name);
      const database = await createDatabase({ template: false });
      onTestFinished(() => database.drop());
      const running = await startExample(program, database.url, onTestFinished);
      const pool = database.pool({ max: 1 });
      if (example.pages !== undefined) await useForms(example, running.url, pool);
      await walkThrough(example, running, pool);
    });
  }
});
