import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** A fenced block of code on a page. */
export interface Block {
  page: string;
  /** The line of its first line of code, from 1. */
  line: number;
  language: string;
  /** The file name in brackets after the language: ```ts [sessions.ts] */
  file: string | undefined;
  code: string;
  /** The words of the comments before it: `<!-- example: login -->` is ["example", "login"]. */
  notes: Map<string, string>;
}

/** Every page of the repository that users read, relative to the root. */
export function pages(): string[] {
  return execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "README.md", "docs/**.md"], {
    cwd: root,
    encoding: "utf8",
  })
    .split("\n")
    .filter((file) => file !== "" && existsSync(join(root, file)));
}

/** The blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), "utf8");
  const pattern = /^((?:<!-- [^]*? -->\s*\n)*)( *)```(\w+)(?:\{[^}\n]*\})?(?: \[([^\]]+)\])?[^\n]*\n([^]*?)^ *```$/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const [whole, comments = "", indent = "", language = "", file, code = ""] = match;
    const before = text.slice(0, match.index + whole.indexOf("```"));
    return {
      page,
      line: before.split("\n").length + 1,
      language,
      file,
      code: code.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
      notes: new Map(
        [...comments.matchAll(/<!-- ([\w-]+): ([^]*?) -->/g)].map(([, name = "", value = ""]) => [name, value]),
      ),
    };
  });
}

/** The block that follows `<!-- example: name -->`. */
export function example(page: string, name: string): Block {
  const block = blocksOf(page).find(({ notes }) => notes.get("example") === name);
  if (block === undefined) throw new Error(`${page} has no example ${name}`);
  return block;
}
