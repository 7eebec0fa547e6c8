import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitepress";
import { linkToRepository } from "./links.ts";
import { sidebar } from "./sidebar.ts";
import { labelCells } from "./tables.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const manifest = JSON.parse(readFileSync(file("../../package.json"), "utf8")) as {
  description: string;
  version: string;
  exports: Record<string, unknown>;
  repository: { url: string };
};
const repository = manifest.repository.url.replace(/^git\+/, "").replace(/\.git$/, "");

/** The pages of the decisions, by their titles. */
const decisions = readdirSync(file("../decisions"))
  .filter((name) => /^\d.*\.md$/.test(name))
  .map((name) => ({
    text: /^# (.*)$/m.exec(readFileSync(file(`../decisions/${name}`), "utf8"))?.[1] ?? name,
    link: `/decisions/${name.replace(/\.md$/, "")}`,
  }));

const api = Object.keys(manifest.exports)
  .filter((key) => key !== "./package.json" && key !== "./session")
  .map((key) => key.replace(/^\./, "pgstore"))
  .map((name) => ({ text: name, link: `/api/${name}/` }));

export default defineConfig({
  title: "pgstore",
  description: manifest.description,
  lang: "en",
  base: process.env.DOCS_BASE ?? "/",
  cleanUrls: true,
  srcExclude: ["node_modules/**"],
  rewrites: { ":folder/README.md": ":folder/index.md" },
  head: [
    ["link", { rel: "icon", type: "image/svg+xml", href: `${process.env.DOCS_BASE ?? "/"}ticket.svg` }],
    ["meta", { name: "theme-color", content: "#b3391b" }],
  ],
  markdown: {
    theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
    config: (markdown) => {
      linkToRepository(markdown, repository);
      labelCells(markdown);
    },
  },
  vite: { build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    logo: "/ticket.svg",
    outline: [2, 3],
    search: { provider: "local" },
    socialLinks: [{ icon: "github", link: repository }],
    editLink: { pattern: `${repository}/edit/main/docs/:path`, text: "Edit this page" },
    nav: [
      { text: "Start", link: "/start", activeMatch: "^/(start|session|options|errors|troubleshooting|why)" },
      { text: "Guides", link: "/guides/", activeMatch: "^/guides/" },
      { text: "Recipes", link: "/recipes/", activeMatch: "^/recipes/" },
      { text: "Operate", link: "/operate/cli", activeMatch: "^/(operate|databases)/" },
      { text: "Security", link: "/security/threat-model", activeMatch: "^/security/" },
      { text: "API", link: "/api/pgstore/", activeMatch: "^/api/" },
    ],
    sidebar: {
      "/": sidebar,
      "/api/": [{ text: "API reference", items: api }],
      "/decisions/": [{ text: "Decisions", items: decisions }],
    },
    footer: { message: `MIT licence. Version ${manifest.version}.` },
  },
});
