import { execFileSync } from "node:child_process";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { SHELLS } from "../../src/lib/cli/completion.ts";
import { addCommands } from "../../src/lib/cli/program.ts";
import { environment } from "../support/undertaker.ts";
import { pgstore } from "./run.ts";

const program = new Command("pgstore").version("0.0.0");
addCommands(program, () => Promise.resolve());
const commands = program.commands.map((command) => command.name());

/** What bash would offer for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const { out } = await pgstore("completion", "bash");
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const script = `${out}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _pgstore; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const said = execFileSync("bash", ["--norc", "-eu", "-c", script], { encoding: "utf8", env: environment() });
  return said.split("\n").filter(Boolean);
}

describe("pgstore completion", () => {
  it("offers exactly the commands, in bash", async () => {
    expect(await offered("pgstore", "")).toEqual([...commands, "--help", "--version"]);
    expect(await offered("npx", "pgstore", "")).toEqual([...commands, "--help", "--version"]);
    expect(await offered("npx", "pgstore", "s")).toEqual(commands.filter((name) => name.startsWith("s")));
    expect(await offered("npx", "other", "")).toEqual([]);
  });

  it("offers the options of a command and the values of an option, in bash", async () => {
    for (const command of program.commands) {
      const options = command.options.map(({ long }) => long);
      const all = await offered("pgstore", command.name(), "--");
      expect(all).toEqual([...options, "--help"]);
    }
    expect(await offered("pgstore", "users", "--sort", "")).toEqual(["name", "sessions", "login"]);
    expect(await offered("npx", "pgstore", "check", "--layout", "c")).toEqual(["connect-pg-simple"]);
    expect(await offered("pgstore", "completion", "z")).toEqual(["zsh"]);
  });

  it.each([
    ["zsh", /^ {4}'([a-z]+):/gm, /^ {6}'(--[a-z-]+)\[/gm],
    ["fish", /^complete -c pgstore -n '__pgstore_runs; and not .* -a ([a-z]+) -d/gm, / -l ([a-z-]+) -d/g],
  ])("has exactly the commands and options, in %s", async (shell, command, option) => {
    const { code, out } = await pgstore("completion", shell);
    expect(code).toBe(0);
    expect([...out.matchAll(command)].map(([, name]) => name)).toEqual(commands);
    const options = program.commands.flatMap((one) => one.options.map(({ long }) => long ?? ""));
    const found = [...out.matchAll(option)].map(([, name = ""]) => (name.startsWith("--") ? name : `--${name}`));
    expect([...new Set(found)].toSorted()).toEqual([...new Set(options)].toSorted());
  });

  it("refuses another shell, and names those that it knows", async () => {
    const { code, err } = await pgstore("completion", "tcsh");
    expect(code).toBe(2);
    for (const shell of Object.keys(SHELLS)) expect(err).toContain(shell);
    expect(await pgstore("completion")).toMatchObject({ code: 2 });
  });
});
