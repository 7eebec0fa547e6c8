import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { sidebar } from "../docs/.vitepress/sidebar.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Every file of the repository, relative to its root. */
const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const folders = new Set(files.flatMap(parentsOf));
const rooms = readdirSync(join(root, "src/lib"));
const pages = files.filter((file) => file.endsWith(".md") && file !== "CHANGELOG.md");
const decisions = pages.filter((file) => /^docs\/decisions\/\d/.test(file));
const read = (file: string): string => readFileSync(join(root, file), "utf8");

/** "a/b/c.ts" -> "a/b", "a" */
function parentsOf(file: string): string[] {
  const parent = dirname(file);
  return parent === "." ? [] : [parent, ...parentsOf(parent)];
}

const escaped = (text: string): string => text.replaceAll(/[.+?^$|(){}[\]\\]/g, String.raw`\$&`);

/** Whether a file or folder has this path from the root; `*` stands for a part of a name. */
function exists(path: string): boolean {
  const name = path.replace(/\/$/, "");
  if (!name.includes("*")) return folders.has(name) || files.includes(name);
  const pattern = new RegExp(`^${name.split("*").map(escaped).join("[^/]*")}$`);
  return files.some((file) => pattern.test(file));
}

const withoutCode = (text: string): string => text.replaceAll(/^```[^]*?^```/gm, "");

/** The anchors of a page's headings: VitePress makes them as GitHub does, but for punctuation within. */
function headingsOf(page: string): Set<string> {
  const headings = [...withoutCode(read(page)).matchAll(/^#+ (.*)$/gm)].map((match) => match[1] ?? "");
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[`']/g, "")
        .replaceAll(/[^\w]+/g, "-")
        .replaceAll(/^-|-$/g, ""),
    ),
  );
}

/** Paths that a page names in backticks, outside of code blocks: `src/lib/core`, `postgres/open.ts`, `test/races`. */
function pathsIn(page: string): string[] {
  const prose = withoutCode(read(page));
  return [...prose.matchAll(/`([^`\s]+)`/g)].map((match) => match[1] ?? "").filter((text) => /^[\w.*/-]+$/.test(text));
}

/** Whether text that may be a path names something that is not there. */
function isStale(text: string, page: string): boolean {
  const [first = "", ...rest] = text.split("/");
  if (rest.length === 0) {
    // A bare name may be a file of the reader's own, but not where the code is explained.
    const explainsCode = page === "CONTRIBUTING.md" || decisions.includes(page);
    return explainsCode && /\w\.(?:ts|mjs)$/.test(text) && !files.some((file) => basename(file) === text);
  }
  if (exists(join(dirname(page), text))) return false;
  if (folders.has(first)) return !exists(text);
  return rooms.includes(first) && !exists(`src/lib/${text}`) && !exists(`src/lib/${text}.ts`);
}

describe("the documentation", () => {
  it("links to files that exist", () => {
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|mailto:|#)([^)\s#]+)(?:#[^)]*)?\)/g)]
        .map((match) => normalize(join(dirname(page), match[1] ?? "")))
        .filter((target) => !exists(target))
        .map((target) => `${page}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it("links to headings that exist", () => {
    const broken = pages.flatMap((page) =>
      [...withoutCode(read(page)).matchAll(/\]\((?!https?:)([^)\s#]*)#([^)]+)\)/g)]
        .map(([, path = "", heading = ""]) => ({ target: path === "" ? page : join(dirname(page), path), heading }))
        .filter(({ target, heading }) => target.endsWith(".md") && !headingsOf(target).has(heading))
        .map(({ target, heading }) => `${page}: ${target}#${heading}`),
    );
    expect(broken).toEqual([]);
  });

  it("has every page of the site in the navigation once, and no other", () => {
    const links = sidebar.flatMap(({ items }) => items.map(({ link }) => link));
    expect(new Set(links).size).toBe(links.length);
    const site = pages
      .filter((page) => page.startsWith("docs/") && page !== "docs/index.md" && !decisions.includes(page))
      .map((page) => page.slice("docs".length).replace(/(?:(?<=\/)(?:index|README))?\.md$/, ""));
    expect(links.toSorted(), "put the page into docs/.vitepress/sidebar.ts").toEqual(site.toSorted());
  });

  it("names paths that exist", () => {
    const stale = pages.flatMap((page) =>
      pathsIn(page)
        .filter((text) => isStale(text, page))
        .map((text) => `${page}: ${text}`),
    );
    expect(stale).toEqual([]);
  });

  it("gives every decision a number of its own, and one form", () => {
    const numbers = decisions.map((page) => basename(page).slice(0, 3));
    expect(new Set(numbers).size).toBe(numbers.length);
    for (const page of decisions) {
      expect(read(page), page).toMatch(new RegExp(`^# ${basename(page).slice(0, 3)}: \\S`));
      const headings = [...read(page).matchAll(/^## (.*)$/gm)].map((match) => match[1] ?? "");
      expect(headings, page).toEqual([
        expect.stringMatching(/^What (?:broke|we had)$/),
        "What we chose",
        ...headings.filter((heading) => heading === "What we left out"),
        "What it costs",
      ]);
    }
  });

  it("leaves the repository's address to the manifest", () => {
    const naming = files.filter(
      (file) => /\.(?:md|json|ts|tsx|mjs|svelte)$/.test(file) && /pgstore-org\//.test(read(file)),
    );
    // The README is also the registry's page, where no relative link works. Its test compares it with the manifest.
    expect(naming.filter((file) => file !== "test/documentation.test.ts")).toEqual(["README.md", "package.json"]);
  });
});
