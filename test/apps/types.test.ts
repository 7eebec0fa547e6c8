import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pack, type Packed, run } from "../package/tarball.ts";
import { checkTypes, TYPE_PROJECTS } from "../package/types.ts";

/** The oldest compiler and the newest of each major version. */
const VERSIONS = ["5.4", "5.9", "6.0", "7.0"] as const;
type Version = (typeof VERSIONS)[number];

/** How a compiler finds modules. */
const RESOLUTIONS = {
  node16: { module: "node16", moduleResolution: "node16" },
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

let packed: Packed;
let compilers: string;
beforeAll(async () => {
  packed = await pack();
  compilers = join(dirname(packed.tarball), "compilers");
  mkdirSync(compilers);
  const dependencies = Object.fromEntries(
    VERSIONS.map((version) => [`typescript-${version}`, `npm:typescript@${version}`]),
  );
  writeFileSync(join(compilers, "package.json"), JSON.stringify({ private: true, dependencies }));
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund"], compilers);
});
afterAll(() => packed?.remove());

const check = (version: Version, project: string, options: object): Promise<void> =>
  checkTypes(packed.full, project, join(compilers, `node_modules/typescript-${version}/bin/tsc`), options);

const modules = TYPE_PROJECTS.filter((project) => project !== "commonjs");

describe.each(VERSIONS)("TypeScript %s", (version) => {
  it.each(modules)("agrees with a program with %s", (project) => check(version, project, RESOLUTIONS.nodenext));

  it.each(["node16", "bundler"] as const)("agrees with moduleResolution %s", (resolution) =>
    check(version, "register", RESOLUTIONS[resolution]),
  );
});

describe("a CommonJS program", () => {
  it.each([
    ["5.4", { module: "commonjs", moduleResolution: "node10" }],
    ["5.9", { module: "nodenext", moduleResolution: "nodenext" }],
    ["5.9", { module: "node20", moduleResolution: "node16" }],
    ["6.0", { module: "commonjs", moduleResolution: "bundler" }],
    ["7.0", { module: "nodenext", moduleResolution: "nodenext" }],
    ["7.0", { module: "commonjs", moduleResolution: "bundler" }],
  ] as const)("compiles on TypeScript %s with %o", (version, options) => check(version, "commonjs", options));

  it("is told by the older compilers that Node could not require ES modules then", async () => {
    await expect(check("5.4", "commonjs", RESOLUTIONS.nodenext)).rejects.toThrow(/TS1479/);
  });
});
