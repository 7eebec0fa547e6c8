import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** An import only ever falls: into its own room or to a lower floor. */
const FLOORS: Record<string, number> = {
  core: 0,
  codec: 1,
  session: 2,
  postgres: 2,
  memory: 2,
  otel: 2,
  manager: 3,
  http: 1,
  adapters: 4,
  testing: 4,
  scs: 5,
  "express-session": 5,
  dashboard: 5,
  cli: 6,
};

/** What each room may use of Node; Bun and Deno have the modules named for the lower floors as well. */
const NODE_MODULES: Record<string, string[]> = {
  core: ["node:buffer", "node:crypto", "node:diagnostics_channel"],
  codec: ["node:crypto", "node:buffer"],
  http: ["node:crypto", "node:buffer"],
  postgres: ["node:buffer", "node:fs/promises", "node:path", "node:os"],
  adapters: ["node:async_hooks", "node:http", "node:http2", "node:net", "node:stream"],
  scs: ["node:http"],
  "express-session": ["node:buffer", "node:events"],
  dashboard: ["node:events", "node:http", "node:net"],
  cli: ["node:buffer", "node:events", "node:fs", "node:http", "node:readline/promises", "node:util"],
};

/** Packages: dependencies anywhere on the floor that needs them, optional peers only where the user asks for them. */
const PACKAGES: Record<string, string[]> = {
  core: ["ms"],
  http: ["cookie"],
  adapters: ["fastify", "fastify-plugin", "hono", "koa", "next/headers.js", "next/server.js"],
  postgres: ["pg", "@electric-sql/pglite"],
  cli: ["commander", "pg"],
  otel: ["@opentelemetry/api"],
};

const MAX_LINES = 400;

const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts"));
const source = new Map(files.map((file) => [file, readFileSync(join(root, "src", file), "utf8")]));
const library = files.filter((file) => file.startsWith("lib/"));
/** What package.json's `bin` names: it is run, not imported. */
const PROGRAM = "cli.ts";
const entries = files.filter((file) => !file.includes("/") && file !== PROGRAM);

/** A file without its comments. */
function codeOf(file: string): string {
  return (source.get(file) ?? "").replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** Module specifiers of a file: static, re-exported, dynamic, types included. */
function specifiersOf(file: string): string[] {
  return [...codeOf(file).matchAll(/(?:\bfrom\s*|(?<!["'])\bimport\s*\(?\s*)["']([^"']+)["']/g)].map(
    (match) => match[1] ?? "",
  );
}

/** Files of src that a file imports. */
function importsOf(file: string): string[] {
  return specifiersOf(file)
    .filter((specifier) => specifier.startsWith("."))
    .map((specifier) => normalize(join(dirname(file), specifier)).replaceAll("\\", "/"));
}

/** "lib/core/x.ts" -> "core" */
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

  it("imports Buffer, which is no global of every runtime", () => {
    const wrong = library.filter(
      (file) => /\bBuffer\./.test(codeOf(file)) && !specifiersOf(file).includes("node:buffer"),
    );
    expect(wrong).toEqual([]);
  });

  it("uses Node and packages only where it says so", () => {
    const wrong = library.flatMap((file) => {
      const allowed = [...(NODE_MODULES[folderOf(file)] ?? []), ...(PACKAGES[folderOf(file)] ?? [])];
      return specifiersOf(file)
        .filter((specifier) => !specifier.startsWith(".") && !allowed.includes(specifier))
        .map((specifier) => `${file}: ${specifier}`);
    });
    expect(wrong).toEqual([]);
  });

  it("asks for the process's time in one file", () => {
    const askers = library.filter((file) => /\bDate\.now\(|\bnew Date\(\)/.test(source.get(file) ?? ""));
    expect(askers).toEqual(["lib/core/time.ts"]);
  });

  it("makes tokens of real randomness only", () => {
    const token = source.get("lib/core/token.ts") ?? "";
    expect(token).toContain("randomBytes");
    expect(files.filter((file) => /randomUUID|md5|sha1/i.test(source.get(file) ?? ""))).toEqual([]);
    expect(token).not.toContain("Math.random");
  });

  it("judges headers by bytes, not by Unicode's blanks and letters", () => {
    const rooms = library.filter((file) => /^lib\/(?:core|http|manager|adapters|dashboard)\//.test(file));
    const wrong = rooms.filter((file) =>
      /\.trim(?:Start|End)?\(\)|\.to(?:Locale)?(?:Lower|Upper)Case\(|(?<!\\)\\s/.test(codeOf(file)),
    );
    expect(wrong).toEqual([]);
  });

  it("takes a connection for one statement, and begins no transaction, but for a look at the pooler", () => {
    const asking = library.filter((file) => /^lib\/(?:postgres|express-session|cli)\//.test(file));
    const wrong = asking.filter((file) =>
      /\.begin\(|\.reserve\(|\.connect\(|\bBEGIN\b(?!\n)|FOR UPDATE(?! OF s SKIP LOCKED)|ctid/.test(
        source.get(file) ?? "",
      ),
    );
    expect(wrong.toSorted()).toEqual(["lib/postgres/check/pooler.ts", "lib/postgres/drivers/node-postgres.ts"]);
  });

  it("keeps SQL out of the command line", () => {
    const wrong = library.filter(
      (file) =>
        file.startsWith("lib/cli/") && /\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE)\b|pg_catalog/.test(codeOf(file)),
    );
    expect(wrong).toEqual([]);
  });

  it(`keeps files under ${MAX_LINES} lines`, () => {
    const long = files.filter((file) => (source.get(file) ?? "").split("\n").length > MAX_LINES);
    expect(long).toEqual([]);
  });

  it("has one entry file for each key of exports, which only re-exports", () => {
    const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      exports: object;
      typesVersions: { "*": object };
    };
    const keys = Object.keys(manifest.exports).filter((key) => key !== "./package.json");
    // Resolvers that know no exports find the types by these.
    const typed = Object.keys(manifest.typesVersions["*"]).map((name) => `./${name}`);
    expect([".", ...typed].toSorted()).toEqual(keys.toSorted());
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
