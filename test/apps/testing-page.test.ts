import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pack, type Packed, run } from "../package/tarball.ts";
import { environment } from "../support/undertaker.ts";

const page = readFileSync(fileURLToPath(new URL("../../docs/testing.md", import.meta.url)), "utf8");
const PACKAGES = ["express@5", "supertest@7", "vitest@4", "jest@30"];

/** The examples of the page by the names of their files. */
const files = new Map(
  [...page.matchAll(/<!-- example: (\S+) -->\s*```js\n([^]*?)```/g)].map((match) => [match[1] ?? "", match[2] ?? ""]),
);

let packed: Packed;
let folder: string;
const own = Object.entries(environment()).filter(([variable]) => !/^(?:VITEST|NODE_)/.test(variable));
const env = Object.fromEntries(own);

beforeAll(async () => {
  packed = await pack();
  folder = join(dirname(packed.tarball), "tests");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
  const npm = ["install", "--prefer-offline", "--no-audit", "--no-fund", packed.tarball, ...PACKAGES];
  await run("npm", npm, folder, env);
});
afterAll(() => packed?.remove());

describe("docs/testing.md", () => {
  it("has an example for each runner", () => {
    expect([...files.keys()]).toEqual(["app.js", "vitest.test.js", "node.test.js", "jest.test.js"]);
  });

  it("shows a test of vitest", async () => {
    await run("npx", ["vitest", "run", "vitest.test.js"], folder, env);
  });

  it("shows a test of node:test", async () => {
    expect(await run("node", ["--test", "node.test.js"], folder, env)).toMatch(/pass 1\b/);
  });

  it("shows a test of Jest, and the flag that it needs", async () => {
    const flag = { ...env, NODE_OPTIONS: "--experimental-vm-modules" };
    await run("npx", ["jest", "jest.test.js"], folder, flag);
    const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
    if (major > 24 || (major === 24 && minor >= 9)) return;
    await expect(run("npx", ["jest", "jest.test.js"], folder, env)).rejects.toThrow(
      /Must use import to load ES Module/,
    );
  });
});
