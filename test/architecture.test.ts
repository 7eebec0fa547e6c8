import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** An import only ever falls: into its own folder or to a lower floor. */
const FLOORS: Record<string, number> = {
  base: 0,
  port: 1,
  session: 2,
  postgres: 2,
  memory: 2,
  otel: 2,
  manager: 3,
  http: 4,
  dashboard: 4,
  cli: 5,
};

/** What each file may use of Node; Bun and Deno have the modules named for the lower floors as well. */
const NODE_MODULES: [module: string, files: RegExp][] = [
  ["node:crypto", /^base\/(?:sha256|token|encrypted|csrf-token|scs-json)\.ts$/],
  ["node:buffer", /^(?:base|postgres)\//],
  ["node:diagnostics_channel", /^base\/events\.ts$/],
  ["node:fs/promises", /^postgres\/folder-lock\.ts$/],
  ["node:path", /^postgres\/folder-lock\.ts$/],
  ["node:os", /^postgres\/folder-lock\.ts$/],
  ["node:events", /^http\/express-session\.ts$/],
  ["node:fs", /^cli\/(?:connection|main)\.ts$/],
  ["node:readline/promises", /^cli\/confirm\.ts$/],
  [
    "node:http",
    /^http\/(?:node-[a-z0-9]+|head-text|response-gates|connect|csrf|seed|koa|upgrade)\.ts$|^cli\/demo\/[a-z]+\.ts$/,
  ],
  ["node:http2", /^http\/node-(?:http2|handler)\.ts$/],
  ["node:stream", /^http\/node-http2\.ts$/],
  ["node:http", /^dashboard\/(?:dashboard|node-host|options|serve)\.ts$/],
  ["node:net", /^dashboard\/serve\.ts$|^http\/(?:held-socket|node-http1|node-void)\.ts$/],
];

/** Packages: dependencies anywhere on the floor that needs them, optional peers only where the user asks for them. */
const PACKAGES: [name: string, files: RegExp][] = [
  ["cookie", /^base\/cookie-text\.ts$/],
  ["ms", /^base\/duration\.ts$/],
  ["fastify", /^http\/fastify\.ts$/],
  ["fastify-plugin", /^http\/fastify\.ts$/],
  ["hono", /^http\/hono\.ts$/],
  ["pg", /^(?:postgres\/open-database|cli\/pooler)\.ts$/],
  ["@electric-sql/pglite", /^postgres\/open-database\.ts$/],
  ["commander", /^cli\/[a-z]+\.ts$/],
  ["@opentelemetry/api", /^otel\//],
];

const MOST_LINES = 400;

const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts"));
const source = new Map(files.map((file) => [file, readFileSync(join(root, "src", file), "utf8")]));
const library = files.filter((file) => file.startsWith("lib/"));
/** What package.json's `bin` names: it is run, not imported. */
const PROGRAM = "cli.ts";
const entries = files.filter((file) => !file.includes("/") && file !== PROGRAM);

/** Module specifiers of a file: static, re-exported, dynamic, types included. */
function specifiersOf(file: string): string[] {
  const code = (source.get(file) ?? "").replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  return [...code.matchAll(/(?:\bfrom\s*|(?<!["'])\bimport\s*\(?\s*)["']([^"']+)["']/g)].map((match) => match[1] ?? "");
}

/** Files of src that a file imports. */
function importsOf(file: string): string[] {
  return specifiersOf(file)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => normalize(join(dirname(file), specifier)).replaceAll("\\", "/"));
}

/** "lib/base/x.ts" -> "base" */
const folderOf = (file: string): string => file.split("/")[1] ?? "";

describe("architecture", () => {
  it("gives every folder of src/lib a floor", () => {
    const folders = new Set(library.map(folderOf));
    expect([...folders].filter((folder) => !(folder in FLOORS))).toEqual([]);
  });

  it("lets imports fall only", () => {
    const climbing = library.flatMap((file) =>
      importsOf(file)
        .filter((target) => {
          const [from, to] = [folderOf(file), folderOf(target)];
          return !target.startsWith("lib/") || (from !== to && (FLOORS[to] ?? 99) >= (FLOORS[from] ?? -1));
        })
        .map((target) => `${file} -> ${target}`),
    );
    expect(climbing).toEqual([]);
  });

  it("imports files that exist, and never its own package", () => {
    const wrong = files.flatMap((file) => [
      ...importsOf(file).filter((target) => !source.has(target)),
      ...specifiersOf(file).filter((specifier) => /^pgstore(?:\/|$)/.test(specifier)),
    ]);
    expect(wrong).toEqual([]);
  });

  it("has no cycles, types included", () => {
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      if (done.has(file) || path.includes(file)) return;
      for (const target of importsOf(file)) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  it("uses Node and packages only where it says so", () => {
    const allowed = [...NODE_MODULES, ...PACKAGES];
    const wrong = files.flatMap((file) =>
      specifiersOf(file)
        .filter((specifier) => !specifier.startsWith("."))
        .filter((name) => !allowed.some(([module, where]) => module === name && where.test(file.replace("lib/", ""))))
        .map((name) => `${file}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it("asks for the process's time in one file", () => {
    const askers = library.filter((file) =>
      /\bDate\.now\(|\bnew Date\(\)|performance\.now\(/.test(source.get(file) ?? ""),
    );
    expect(askers).toEqual(["lib/base/clock.ts"]);
  });

  it("makes tokens of real randomness only", () => {
    const token = source.get("lib/base/token.ts") ?? "";
    expect(token).toContain("randomBytes");
    expect(files.filter((file) => /randomUUID|md5|sha1/i.test(source.get(file) ?? ""))).toEqual([]);
    expect(token).not.toContain("Math.random");
  });

  it("judges headers by bytes, not by Unicode's blanks and letters", () => {
    const rooms = library.filter((file) => /^lib\/(?:base|http|manager|dashboard)\//.test(file));
    const wrong = rooms.filter((file) =>
      /\.trim(?:Start|End)?\(\)|\.to(?:Locale)?(?:Lower|Upper)Case\(|(?<!\\)\\s/i.test(source.get(file) ?? ""),
    );
    // The second reads the name of a browser, the third an option.
    expect(wrong.toSorted()).toEqual(["lib/base/ascii.ts", "lib/dashboard/device.ts", "lib/dashboard/options.ts"]);
  });

  it("takes a connection for one statement, and begins no transaction, but for a look at the pooler", () => {
    const wrong = library.filter((file) =>
      /\.begin\(|\.reserve\(|\.connect\(|\bBEGIN\b(?!\n)|FOR UPDATE(?! OF s SKIP LOCKED)|ctid/.test(
        source.get(file) ?? "",
      ),
    );
    expect(wrong.toSorted()).toEqual(["lib/cli/pooler.ts", "lib/postgres/node-postgres.ts"]);
  });

  it(`keeps files under ${MOST_LINES} lines`, () => {
    const long = files.filter((file) => (source.get(file) ?? "").split("\n").length > MOST_LINES);
    expect(long).toEqual([]);
  });

  it("has one entry file for each key of exports, which only re-exports", () => {
    const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { exports: object };
    const keys = Object.keys(exports).filter((key) => key !== "./package.json");
    const expected = entries.map((file) => (file === "index.ts" ? "." : `./${file.slice(0, -3)}`));
    expect(keys.toSorted()).toEqual(expected.toSorted());
    for (const entry of entries) {
      const rest = (source.get(entry) ?? "")
        .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "")
        .replace(/export\s+(?:type\s+)?(?:\{[^}]*\}|\*)\s+from\s+"[^"]+";/g, "");
      expect(rest.trim(), entry).toBe("");
    }
  });

  it("has one program, which only begins, and which nobody imports", () => {
    const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { bin: object };
    expect(bin).toEqual({ pgstore: "./dist/cli.js" });
    expect(source.get(PROGRAM)).toMatch(
      /^#!\/usr\/bin\/env node\nimport \{ main \} from "\.\/lib\/cli\/main\.ts";\n\nprocess\.exitCode = await main\(process\.argv\.slice\(2\)\);\n$/,
    );
    const importers = files.filter((file) => importsOf(file).some((target) => target.startsWith("lib/cli/")));
    expect(importers.filter((file) => !file.startsWith("lib/cli/"))).toEqual([PROGRAM]);
  });

  it("keeps runtime dependencies few and everything else optional", () => {
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<string, object>;
    expect(Object.keys(manifest["dependencies"] ?? {}).toSorted()).toEqual([
      "commander",
      "cookie",
      "fastify-plugin",
      "ms",
    ]);
    expect(Object.keys(manifest["peerDependencies"] ?? {}).toSorted()).toEqual(
      Object.keys(manifest["peerDependenciesMeta"] ?? {}).toSorted(),
    );
    const scripts = Object.keys(manifest["scripts"] ?? {});
    expect(scripts.filter((name) => /^(?:pre|post)?install$/.test(name))).toEqual([]);
  });
});
