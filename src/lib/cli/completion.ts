import type { Command } from "commander";
import { type Answer, EXIT } from "./answer.ts";
import { shellQuoted } from "./terminal.ts";

/** Functions by shell, which write a script that completes the commands and options of a program. */
export const SHELLS = { bash, zsh, fish };
export type Shell = keyof typeof SHELLS;

/** Prints a script that makes a shell complete `pgstore` and `npx pgstore`. */
export async function completion(program: Command, shell: Shell): Promise<Answer> {
  const script = SHELLS[shell](program);
  return { text: script, json: { shell, script }, exitCode: EXIT.ok };
}

const argumentChoices = (command: Command): readonly string[] =>
  command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);

/** In `npx pgstore …`, the words before the command are two. Other programs of npx are completed as before. */
function bash(program: Command): string {
  const cases = program.commands.map((command) => {
    const options = command.options.map((option) => `--${option.name()}`);
    const words = [...argumentChoices(command), ...options, "--help"];
    return `    ${command.name()}) words="${words.join(" ")}" ;;`;
  });
  const choices = program.commands.flatMap((command) =>
    command.options.flatMap((option) =>
      option.argChoices === undefined
        ? []
        : `    --${option.name()}) COMPREPLY=($(compgen -W "${option.argChoices.join(" ")}" -- "$current")); return ;;`,
    ),
  );
  const names = program.commands.map((command) => command.name());
  return `# bash completion for pgstore. Add to ~/.bashrc: eval "$(npx pgstore completion bash)"
_pgstore() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" at=1 words
  COMPREPLY=()
  if [[ "\${COMP_WORDS[0]##*/}" == npx ]]; then
    [[ "\${COMP_WORDS[1]}" == pgstore ]] || return 0
    at=2
  fi
  case "$previous" in
${[...new Set(choices)].join("\n")}
  esac
  if ((COMP_CWORD == at)); then
    COMPREPLY=($(compgen -W "${[...names, "--help", "--version"].join(" ")}" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[at]}" in
${cases.join("\n")}
    *) return 0 ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _pgstore pgstore npx`;
}

function zsh(program: Command): string {
  const commands = program.commands.map(
    (command) => `    ${shellQuoted(`${command.name()}:${command.description()}`)}`,
  );
  const cases = program.commands.map((command) => {
    const options = command.options.map(({ long, description, argChoices, required }) => {
      const value = argChoices !== undefined ? `:value:(${argChoices.join(" ")})` : required ? ":value:_files" : "";
      return `      ${shellQuoted(`${long}[${description.replaceAll(/[[\]:]/g, "\\$&")}]${value}`)}`;
    });
    const words = argumentChoices(command);
    const all = words.length === 0 ? options : [...options, `      ${shellQuoted(`1:argument:(${words.join(" ")})`)}`];
    return `    ${command.name()}) _arguments \\\n${all.join(" \\\n")} ;;`;
  });
  return `#compdef pgstore
# zsh completion for pgstore. Add to ~/.zshrc, after compinit: eval "$(npx pgstore completion zsh)"
_pgstore() {
  local -a commands=(
${commands.join("\n")}
  )
  if [[ "\${words[1]:t}" == npx ]]; then
    [[ "\${words[2]}" == pgstore ]] || { _files; return }
    shift words
    ((CURRENT--))
  fi
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command="\${words[2]}"
  shift words
  ((CURRENT--))
  case "$command" in
${cases.join("\n")}
  esac
}
compdef _pgstore pgstore npx`;
}

function fish(program: Command): string {
  const names = program.commands.map((command) => command.name()).join(" ");
  const lines = program.commands.flatMap((command) => {
    const seen = `-n '__pgstore_runs; and __fish_seen_subcommand_from ${command.name()}'`;
    return [
      `-n '__pgstore_runs; and not __fish_seen_subcommand_from ${names}' -a ${command.name()} -d ${fishQuoted(command.description())}`,
      ...argumentChoices(command).map((choice) => `${seen} -a ${choice}`),
      ...command.options.map(({ long, description, argChoices, required }) => {
        const value = argChoices !== undefined ? ` -x -a '${argChoices.join(" ")}'` : required ? " -r" : "";
        return `${seen} -l ${long?.slice(2)} -d ${fishQuoted(description)}${value}`;
      }),
    ];
  });
  const both = ["pgstore", "npx"].flatMap((name) => lines.map((line) => `complete -c ${name} ${line}`));
  return `# fish completion for pgstore. Run: npx pgstore completion fish > ~/.config/fish/completions/pgstore.fish
function __pgstore_runs
  set -l words (commandline -opc)
  test (path basename -- $words[1]) = pgstore; or test "$words[2]" = pgstore
end
complete -c pgstore -f
${both.join("\n")}`;
}

const fishQuoted = (text: string): string => `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
