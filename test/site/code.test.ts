import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { type Block, blocksOf, pages, root } from "../support/pages.ts";

const CHECKED = new Map([
  ["ts", ".ts"],
  ["tsx", ".tsx"],
]);

/** Lines that a page's block takes as given, hidden in a comment before it: `<!-- given: declare const user: User; -->`. */
const given = ({ notes }: Block): string => (notes.has("given") ? `${notes.get("given")}\n` : "");

/** Whether the block must be alone in its program, as it says what all sessions of the program hold. */
const isAlone = ({ code }: Block): boolean => code.includes("interface Register");

/** Writes the blocks into a folder, each as a module. Returns the place of each: its file, and the lines put before it. */
function write(folder: string, blocks: readonly Block[]): Map<string, { block: Block; shift: number }> {
  const places = new Map<string, { block: Block; shift: number }>();
  blocks.forEach((block, index) => {
    const name = block.file ?? `block-${index}${CHECKED.get(block.language)}`;
    const path = join(folder, block.page.replaceAll(/\W/g, "-"), name);
    const before = `export {};\n${given(block)}`;
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, before + block.code);
    places.set(path, { block, shift: before.split("\n").length - 1 });
  });
  return places;
}

/** The compiler's complaints about the blocks, each with the page and its line. */
async function complaintsAbout(folder: string, blocks: readonly Block[]): Promise<string[]> {
  const places = write(folder, blocks);
  cpSync(join(root, "test/site/given.d.ts"), join(folder, "given.d.ts"));
  const source = relative(folder, join(root, "src"));
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: relative(folder, join(root, "tsconfig.json")),
      compilerOptions: {
        // A handler may answer and return at once: `return res.status(404).end()`.
        noImplicitReturns: false,
        paths: { pgstore: [`${source}/index.ts`], "pgstore/*": [`${source}/*.ts`] },
        jsx: "preserve",
      },
      include: ["**/*"],
    }),
  );
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [compiler, "--pretty", "false", "-p", folder], { cwd: folder }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [whole = "", file = "", row = ""] = /^(.+?)\((\d+),\d+\)/.exec(line) ?? [];
      const place = places.get(join(folder, file));
      if (place === undefined) return line;
      return `${place.block.page}:${Number(row) - place.shift + place.block.line - 1}${line.slice(whole.length)}`;
    });
}

const blocks = pages().flatMap(blocksOf);
const compiled = blocks.filter(
  ({ language, notes }) => CHECKED.has(language) && !notes.has("from") && !notes.has("unchecked"),
);

describe("code on the pages", () => {
  it("compiles", { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(root, "test/.pages-"));
    try {
      const programs = [
        compiled.filter((block) => !isAlone(block)),
        ...compiled.filter(isAlone).map((block) => [block]),
      ];
      const complaints = await Promise.all(
        programs.map((program, index) => complaintsAbout(join(folder, String(index)), program)),
      );
      expect(complaints.flat()).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("does not compile with a mistyped key in the README's first example", { timeout: 120_000 }, async () => {
    const [first] = compiled.filter(({ page }) => page === "README.md");
    const code = first?.code.replace('req.session.update("visits"', 'req.session.update("visit"') ?? "";
    expect(code).not.toBe(first?.code);
    const folder = mkdtempSync(join(root, "test/.pages-"));
    try {
      const complaints = await complaintsAbout(folder, first === undefined ? [] : [{ ...first, code }]);
      expect(complaints.join("\n")).toMatch(
        /Argument of type '"visit"' is not assignable to parameter of type '"visits"'/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is in the example that it comes from", () => {
    for (const { page, line, code, notes } of blocks.filter(({ notes }) => notes.has("from"))) {
      const file = notes.get("from") ?? "";
      expect(readFileSync(join(root, file), "utf8").includes(code.trim()), `${page}:${line} differs from ${file}`).toBe(
        true,
      );
    }
  });
});
