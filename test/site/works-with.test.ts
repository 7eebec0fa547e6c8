import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { adapterHosts } from "../contract/adapter-hosts.ts";
import { root } from "../support/pages.ts";

const read = (file: string): string => readFileSync(join(root, file), "utf8");
const page = read("docs/works-with.md");

/** The rows of the tables, without heads and separators, each with the head of its table. */
const rows = page
  .split("\n\n")
  .filter((part) => part.startsWith("| "))
  .flatMap((table) => {
    const [head = "", , ...lines] = table.trim().split("\n");
    return lines.map((line) => ({ head, line, name: line.split("|")[1]?.trim() ?? "" }));
  });

/** Where the version comes from that a row's name ends with. */
const VERSIONS: Record<string, [manifest: string, dependency: string]> = {
  "Express 5": ["package.json", "express"],
  "Express 4": ["package.json", "express-4"],
  "Connect 3": ["package.json", "connect"],
  "Polka 0.5": ["package.json", "polka"],
  "Fastify 5": ["package.json", "fastify"],
  "Koa 3": ["package.json", "koa"],
  "Hono 4": ["package.json", "hono"],
  "Next.js 16": ["examples/nextjs/package.json", "next"],
  "SvelteKit 2": ["examples/sveltekit/package.json", "@sveltejs/kit"],
  "Astro 5": ["examples/astro/package.json", "astro"],
  "TanStack Start 1": ["examples/tanstack-start/package.json", "@tanstack/react-start"],
  "React Router 7": ["examples/react-router/package.json", "react-router"],
  "NestJS 11": ["examples/nestjs/package.json", "@nestjs/core"],
  "tRPC 11": ["examples/trpc/package.json", "@trpc/server"],
  "Apollo Server 5": ["examples/apollo/package.json", "@apollo/server"],
  "socket.io 4": ["package.json", "socket.io"],
  "Passport 0.7": ["package.json", "passport"],
};

describe("docs/works-with.md", () => {
  it("has a test or an example behind each row", () => {
    // The runtimes' table has one for all.
    const bare = rows.filter(
      ({ head, line }) => !head.includes("the contract on") && !/\]\(\.\.\/(?:test|examples|runtimes)\//.test(line),
    );
    expect(bare.map(({ name }) => name)).toEqual([]);
    expect(rows.length).toBeGreaterThan(50);
  });

  it("names every example", () => {
    const examples = readdirSync(join(root, "examples")).filter(
      (name) => !/^(?:README|tsconfig|pgstore-data)/.test(name),
    );
    expect(examples.filter((name) => !page.includes(`](../examples/${name})`))).toEqual([]);
  });

  it("names every host of the adapter contract, and no other as one", () => {
    const named = rows.filter(({ line }) => line.includes("[yes](../test/contract/adapter-hosts.ts)"));
    const hosts = named.map(({ name }) => name.replaceAll("`", ""));
    const isNamed = (host: string): boolean => hosts.some((name) => name === host || name.startsWith(`${host} `));
    expect(Object.keys(adapterHosts).filter((host) => !isNamed(host))).toEqual([]);
    expect(hosts).toHaveLength(Object.keys(adapterHosts).length);
  });

  it("has the versions that the tests and examples install", () => {
    const numbered = rows.filter(({ head }) => head.startsWith("| framework")).map(({ name }) => name);
    expect(numbered.filter((name) => /\d$/.test(name) && VERSIONS[name] === undefined)).toEqual(["Nuxt, h3"]);
    for (const [name, [manifest, dependency]] of Object.entries(VERSIONS)) {
      expect(rows.map((row) => row.name)).toContain(name);
      const [, version = ""] =
        new RegExp(`"${dependency}": "[^\\d"]*(?:[a-z]+@\\^)?([\\d.]+)`).exec(read(manifest)) ?? [];
      expect(`${version}.`, name).toMatch(new RegExp(`^${name.split(" ").at(-1)?.replace(".", "\\.")}\\.`));
    }
  });
});
