import { dirname, join, normalize } from "node:path/posix";
import type { MarkdownRenderer } from "vitepress";

/**
 * Makes links that leave the site (`../../examples/express.ts`, `results.json`) lead to the repository, so that a page
 * works on the site and in the repository alike.
 */
export function linkToRepository(markdown: MarkdownRenderer, repository: string): void {
  markdown.core.ruler.push("repository", ({ tokens, env }) => {
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.type === "link_open" ? token.attrGet("href") : null;
      if (href === null || /^(?:[a-z]+:|#|\/)/.test(href)) continue;
      const [target = ""] = href.split("#");
      const path = normalize(join("docs", dirname((env as { relativePath: string }).relativePath), target));
      const isPage = path.startsWith("docs/") && (path.endsWith(".md") || path.endsWith("/"));
      if (!isPage) token.attrSet("href", `${repository}/blob/HEAD/${path}`);
    }
  });
}
