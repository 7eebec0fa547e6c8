import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkPackage, createPackageFromTarballData, type ResolutionKind } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { onNode, startExample } from "./example-process.ts";
import { loadedPackages } from "./loaded-packages.ts";
import { changedLines, migrateAndBack } from "./migration.ts";
import { pack, type Packed, run } from "./tarball.ts";
import { checkTypes, TYPE_PROJECTS } from "./types.ts";
import { APPS, EXAMPLES, RUNTIME_EXAMPLES, walkThrough } from "./walk.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

let packed: Packed;
let database: TestDatabase;
beforeAll(async () => {
  [packed, database] = await Promise.all([pack(), createDatabase()]);
}, 120_000);
afterAll(async () => {
  packed?.remove();
  await database?.drop();
});

/** The names under which users import the package. */
function entries(): string[] {
  return Object.keys(packed.manifest.exports)
    .filter((key) => key !== "./package.json")
    .map((key) => `pgstore${key.slice(1)}`);
}

/** Entries for those who have the package that they load. */
const NEEDS: Record<string, string> = { "pgstore/otel": "@opentelemetry/api" };

/** All other entries. */
function ownEntries(): string[] {
  return entries().filter((name) => !(name in NEEDS));
}

/** All files of the package, from its folder. */
function files(): string[] {
  const folder = join(packed.bare, "node_modules/pgstore");
  return readdirSync(folder, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll("\\", "/"),
    );
}

describe("the tarball", () => {
  it("has the compiled sources, what is to be read, and nothing else", () => {
    const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => `dist/${file.replaceAll("\\", "/").slice(0, -3)}`);
    const expected = [
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "package.json",
      ...sources.flatMap((file) => [`${file}.d.ts`, `${file}.js`]),
    ];
    const found = files();
    expect(found.filter((file) => !file.endsWith(".map")).toSorted()).toEqual(expected.toSorted());
    expect(found.filter((file) => file.endsWith(".map") && !found.includes(file.slice(0, -4)))).toEqual([]);
  });

  it("names no folder of the machine that packed it, and no source map that is missing or broken", () => {
    for (const file of files()) {
      const path = join(packed.bare, "node_modules/pgstore", file);
      const text = readFileSync(path, "utf8");
      const folder = dirname(path);
      for (const name of [root, dirname(packed.bare)]) expect(text.includes(name), `${file}: ${name}`).toBe(false);
      const map = /^\/\/# sourceMappingURL=(.*)$/m.exec(text)?.[1];
      if (map !== undefined) expect(existsSync(join(folder, map)), `${file}: ${map}`).toBe(true);
      if (!file.endsWith(".map")) continue;
      const { sources, sourcesContent } = JSON.parse(text) as { sources: string[]; sourcesContent?: unknown[] };
      const missing = sources.filter((source) => source.startsWith("/") || !existsSync(join(folder, source)));
      expect(sourcesContent === undefined ? missing : [], file).toEqual([]);
    }
  });

  it("runs nothing when it is installed", () => {
    expect(Object.keys(packed.manifest.scripts).filter((name) => /^(?:pre|post)?install$/.test(name))).toEqual([]);
    expect(files()).not.toContain("binding.gyp");
  });

  it("has nothing that publint finds wrong", async () => {
    const tarball = new Uint8Array(readFileSync(packed.tarball)).buffer;
    const { messages, pkg } = await publint({ pack: { tarball }, strict: true });
    expect(pkg["name"]).toBe("pgstore");
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it("has types that attw finds right for ES modules", async () => {
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(readFileSync(packed.tarball))));
    if (result.types === false) throw new Error("there are no types");
    const names = Object.keys(result.entrypoints).filter((name) => name !== "./package.json");
    expect(names.map((name) => `pgstore${name.slice(1)}`)).toEqual(entries());
    // Its profile "esm-only": that CommonJS gets an ES module is known. TypeScript's node10 knows no exports, and has typesVersions.
    const ignored: ResolutionKind[] = ["node16-cjs"];
    const problems = result.problems.filter(
      (problem) => !("resolutionKind" in problem && ignored.includes(problem.resolutionKind)),
    );
    expect(problems).toEqual([]);
  });
});

describe("the installed package", () => {
  it("needs only its dependencies, whichever entry is imported", async () => {
    const dependencies = Object.keys(packed.manifest.dependencies);
    const installed = readdirSync(join(packed.bare, "node_modules")).filter((name) => !name.startsWith("."));
    expect(installed.toSorted()).toEqual([...dependencies, "pgstore"].toSorted());
    // Only the command line reads arguments.
    const imported = dependencies.filter((name) => name !== "commander");
    expect(await loadedPackages(packed.bare, ownEntries())).toEqual([...imported, "pgstore"].toSorted());
  });

  it("has a command line that npx finds, which needs a driver only for what needs a database", async () => {
    // As npm does when it installs.
    await run("npm", ["rebuild", "pgstore", "--offline"], packed.bare);
    const npx = (...args: string[]): Promise<string> => run("npx", ["--no-install", "pgstore", ...args], packed.bare);
    expect(await npx("--help")).toContain("Usage: pgstore");
    expect(await npx("--version")).toBe(`${packed.manifest.version}\n`);
    expect(await npx("migrate", "--print")).toContain("CREATE TABLE");
    await expect(npx("check", "--url", database.url)).rejects.toThrow("the package pg is needed: npm install pg");
    expect(
      await run("node", ["node_modules/pgstore/dist/cli.js", "migrate", "--url", database.url], packed.full),
    ).toMatch(/^Table "sessions" in .* is up to date/);
  });

  it.for(Object.entries(NEEDS))(
    "loads with %s no other package than %s, an optional peer, and what reads options",
    async ([name, needed]) => {
      expect(entries()).toContain(name);
      expect(Object.keys(packed.manifest.peerDependencies)).toContain(needed);
      expect(packed.manifest.peerDependenciesMeta[needed]).toEqual({ optional: true });
      expect(await loadedPackages(packed.full, [name])).toEqual([needed, "ms", "pgstore"]);
      await expect(
        run(process.execPath, ["--input-type=module", "-e", `import "${name}"`], packed.bare),
      ).rejects.toThrow(`Cannot find package '${needed}'`);
    },
  );

  it("loads no framework and no driver, though they are there", async () => {
    const allowed = [...Object.keys(packed.manifest.dependencies), "pgstore"];
    const loaded = await loadedPackages(packed.full, ownEntries());
    expect(loaded.filter((name) => !allowed.includes(name))).toEqual([]);
    expect(await loadedPackages(packed.full, ["pgstore"])).toEqual(["cookie", "ms", "pgstore"]);
    // The probe itself sees both, from ES modules and from CommonJS ones.
    expect(await loadedPackages(packed.full, ["hono", "pg"])).toEqual(
      expect.arrayContaining(["hono", "pg", "pg-protocol"]),
    );
  });

  it("can be required", async () => {
    const script = `
      const { PgStore, SessionManager } = require("pgstore");
      if (typeof PgStore !== "function" || typeof SessionManager !== "function") throw new Error("exports");
      const names = process.argv.slice(1);
      console.log(JSON.stringify(names.map((name) => Object.keys(require(name)).length > 0)));`;
    const output = await run(process.execPath, ["-e", script, ...entries()], packed.full);
    expect(JSON.parse(output)).toEqual(entries().map(() => true));
  });
});

describe("the types", () => {
  // On other compilers and with other options: test/apps/types.test.ts.
  it.each(TYPE_PROJECTS)("hold in a program with %s", async (project) => {
    await checkTypes(packed.full, project, join(root, "node_modules/typescript/bin/tsc"));
  });
});

describe("examples", () => {
  beforeAll(() => {
    for (const file of Object.keys(EXAMPLES)) cpSync(join(root, "examples", file), join(packed.full, file));
    writeFileSync(join(packed.full, "package.json"), JSON.stringify({ private: true, type: "module" }));
  });

  it("are all walked through, and all in their README", () => {
    const found = readdirSync(join(root, "examples")).filter(
      (file) => !/^(?:README\.md|tsconfig\.json|pgstore-data.*)$/.test(file),
    );
    // test/apps/grafana.test.ts runs the queries of the dashboard, test/apps/docker.test.ts the steps of the images.
    const others = { "express-session.mjs": true, oauth: true, grafana: true, docker: true };
    const walked = Object.keys({ ...others, ...EXAMPLES, ...RUNTIME_EXAMPLES, ...APPS });
    expect(found.toSorted()).toEqual(walked.toSorted());
    const readme = readFileSync(join(root, "examples/README.md"), "utf8");
    expect(found.filter((file) => !readme.includes(`(${basename(file)})`))).toEqual([]);
  });

  it("have types that fit the package", async () => {
    const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8")) as {
      compilerOptions: object;
    };
    writeFileSync(join(packed.full, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    expect(await run(process.execPath, [tsc, "-p", "."], packed.full)).toBe("");
  });

  it("lead from connect-pg-simple to pgstore and back, by the two documented lines", async ({ onTestFinished }) => {
    expect(changedLines()).toHaveLength(2);
    const apart = await createDatabase({ template: false });
    onTestFinished(() => apart.drop());
    await migrateAndBack(packed.full, apart.url, apart.pool({ max: 1 }), onTestFinished);
  });

  describe.concurrent("walk", () => {
    for (const [file, example] of Object.entries(EXAMPLES)) {
      it(
        file,
        async ({ onTestFinished }) => {
          const { start = onNode } = example;
          const running = await startExample(start(packed.full, file), database.url, onTestFinished);
          const pool = database.pool({ max: 1 });
          await walkThrough(example, running, pool);
        },
        120_000,
      );
    }
  });
});
