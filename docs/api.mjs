// Writes the API reference from the docstrings: a page for each key of the package's `exports`, into docs/api.
import { readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Application } from "typedoc";

const file = (path) => fileURLToPath(new URL(path, import.meta.url));
const { name, exports } = JSON.parse(readFileSync(file("../package.json"), "utf8"));

/** The names of the files in src, without extension, and what users import: "fastify" -> "pgstore/fastify". */
const titles = new Map(
  Object.keys(exports)
    // `pgstore/session` is the former name of `pgstore/scs`.
    .filter((key) => key !== "./package.json" && key !== "./session")
    .map((key) => [key === "." ? "index" : key.slice(2), key.replace(/^\./, name)]),
);

rmSync(file("api"), { recursive: true, force: true });
const app = await Application.bootstrapWithPlugins({
  plugin: ["typedoc-plugin-markdown"],
  entryPoints: [...titles.keys()].map((source) => file(`../src/${source}.ts`)),
  tsconfig: file("../tsconfig.build.json"),
  // `npm run types` checks them, with another version of TypeScript.
  skipErrorChecking: true,
  out: file("api"),
  readme: "none",
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  entryFileName: "index",
  membersWithOwnFile: ["Class", "Interface"],
  hidePageHeader: true,
  hideBreadcrumbs: true,
  useCodeBlocks: true,
  parametersFormat: "table",
  interfacePropertiesFormat: "table",
  typeAliasPropertiesFormat: "table",
  indexFormat: "table",
  useHTMLEncodedBrackets: true,
  sanitizeComments: true,
  logLevel: "Warn",
});
const project = await app.convert();
if (project === undefined) throw new Error("TypeDoc has found nothing");
for (const module of project.children ?? []) {
  const title = titles.get(module.name);
  if (title === undefined) throw new Error(`TypeDoc has found a module ${module.name}, which is not in exports`);
  module.name = title;
}
await app.generateOutputs(project);
if (app.logger.hasErrors()) process.exitCode = 1;
