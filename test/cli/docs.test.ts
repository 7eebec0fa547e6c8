import { readFileSync } from "node:fs";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { EXIT } from "../../src/lib/cli/answer.ts";
import { addCommands } from "../../src/lib/cli/program.ts";
import { pgstore } from "./run.ts";

const page = readFileSync(new URL("../../docs/operate/cli.md", import.meta.url), "utf8");
const program = new Command("pgstore").version("0.0.0");
addCommands(program, () => Promise.resolve());
const COMMON = ["--url", "--table", "--schema", "--layout", "--json", "--debug"];

/** The part of the page under a heading. */
function section(heading: string): string {
  return new RegExp(`^## ${heading}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, "m").exec(page)?.[1] ?? "";
}

/** The options in a text. */
function optionsIn(text: string): string[] {
  return [...new Set(text.match(/--[a-z][a-z-]*/g) ?? [])];
}

describe("the documentation of the command line", () => {
  it("has each command, and no other", () => {
    const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    const names = program.commands.map((command) => command.name());
    expect(headings).toEqual(["What all commands have in common", ...names]);
    expect([...page.matchAll(/^\| `([a-z]+)` +\| [a-z]/gm)].map(([, name]) => name).slice(0, names.length)).toEqual(
      names,
    );
  });

  it("explains what all have in common", () => {
    expect(optionsIn(section("What all commands have in common"))).toEqual(
      expect.arrayContaining([...COMMON, "--help", "--version"]),
    );
  });

  it("has each exit code, as the help has", async () => {
    const codes = Object.values(EXIT).map(String);
    expect([...page.matchAll(/^\| (\d) +\| /gm)].map(([, code]) => code)).toEqual(codes);
    expect([...(await pgstore("--help")).out.matchAll(/^ {2}(\d) {2}/gm)].map(([, code]) => code)).toEqual(codes);
  });

  for (const command of program.commands) {
    const name = command.name();
    const options = command.options.map(({ long }) => long ?? "");

    it(`${name}: has an example, and each option, and none that there is not`, () => {
      const text = section(name);
      expect(text).toMatch(new RegExp(`\`\`\`sh\\n(?:.*\\n)*?npx pgstore ${name}\\b`));
      const own = options.filter((option) => !COMMON.includes(option) && option !== "--yes");
      for (const option of own) expect(text, option).toContain(`\`${option}`);
      expect(optionsIn(text).filter((option) => !options.includes(option) && option !== "--help")).toEqual([]);
    });

    it(`${name}: has a help with each option, and with an example that is right`, async () => {
      const { code, out } = await pgstore(name, "--help");
      expect(code).toBe(0);
      expect(options).toEqual(expect.arrayContaining(COMMON));
      for (const option of options) expect(out).toContain(`  ${option}`);
      const example = /Example:\n {2}npx pgstore (\S+)(.*)\n/.exec(out);
      expect(example?.[1]).toBe(name);
      expect(optionsIn(example?.[2] ?? "").filter((option) => !options.includes(option))).toEqual([]);
    });
  }
});
