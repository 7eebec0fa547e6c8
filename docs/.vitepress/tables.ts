import type { MarkdownRenderer } from "vitepress";

/** Gives each cell of a table its column's heading as `data-label`, which the style shows on a phone, where a row is a card. */
export function labelCells(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push("labels", ({ tokens }) => {
    let headings: string[] = [];
    let column = 0;
    tokens.forEach((token, index) => {
      if (token.type === "table_open") headings = [];
      if (token.type === "tr_open") column = 0;
      if (token.type === "th_open") headings.push(tokens[index + 1]?.content.replaceAll("`", "") ?? "");
      if (token.type !== "td_open") return;
      const label = headings[column] ?? "";
      if (label !== "" && column > 0) token.attrSet("data-label", label);
      column += 1;
    });
  });
}
