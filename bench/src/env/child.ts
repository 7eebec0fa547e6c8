import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Undo } from "./undo.ts";

type Answer = { value: unknown } | { error: string };

/** A child process that answers questions, one at a time. */
export class Child {
  readonly pid: number;
  readonly #process: ChildProcess;

  /** @param module - of this folder's siblings, such as `http/server.ts` */
  constructor(module: string, undo: Undo, options: { args?: string[]; env?: NodeJS.ProcessEnv; node?: string[] } = {}) {
    const file = fileURLToPath(new URL(`../${module}`, import.meta.url));
    this.#process = fork(file, options.args ?? [], {
      execArgv: [...(options.node ?? []), "--import", "tsx"],
      env: { ...process.env, NODE_ENV: "production", ...options.env },
    });
    this.pid = this.#process.pid ?? 0;
    undo.add(() => this.#end());
  }

  /** @throws Error with the child's message when it fails, or when it ends */
  async ask<T>(question: unknown): Promise<T> {
    const waiting = new AbortController();
    const { signal } = waiting;
    const ended = once(this.#process, "exit", { signal }).then(() => {
      throw new Error("a process of the benchmark ended unexpectedly");
    });
    const answered = once(this.#process, "message", { signal });
    try {
      this.#process.send(question as object);
      const [answer] = (await Promise.race([answered, ended])) as [Answer];
      if ("error" in answer) throw new Error(answer.error);
      return answer.value as T;
    } finally {
      waiting.abort();
      await Promise.allSettled([answered, ended]);
    }
  }

  async #end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }
}

/** The child's side: answers each question with what the function resolves to, and ends with the parent. */
export function answerQuestions<Question>(answer: (question: Question) => unknown): void {
  const reply = async (question: Question): Promise<void> => {
    try {
      process.send?.({ value: (await answer(question)) ?? null });
    } catch (error) {
      process.send?.({ error: String((error as Error).stack ?? error) });
    }
  };
  process.on("message", (question) => void reply(question as Question));
  process.on("disconnect", () => process.exit());
  // Ctrl-C reaches the whole process group; the parent decides when we end.
  process.on("SIGINT", () => {});
}
