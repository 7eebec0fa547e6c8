import { Child } from "../env/child.ts";
import { createDatabase } from "../env/postgres.ts";
import { spread } from "../stats.ts";
import { numberText, spreadText } from "../text.ts";
import type { MemoryQuestion } from "./memory-process.ts";
import type { Bench, ScenarioResult } from "./scenario.ts";

/** The heap that sessions take while their requests are under way. */
export async function measureMemory({ postgres, sizes, undo }: Bench): Promise<ScenarioResult> {
  const { sessions, rounds } = sizes.memory;
  const url = await createDatabase(postgres, undo);
  const child = new Child("scenarios/memory-process.ts", undo, { node: ["--expose-gc"] });
  const bytes = await child.ask<number[]>({ url, sessions, rounds } satisfies MemoryQuestion);
  return {
    name: "memory",
    title: `Memory: ${numberText(sessions)} sessions in flight at once`,
    tables: [
      {
        title: "Heap of a loaded session, with external memory",
        columns: ["", "bytes"],
        rows: [["pgstore", spreadText(spread(bytes))]],
      },
    ],
    values: { bytes },
    measures: {},
    notes: ["Each session has a number, a name and a list of three objects, and its row as it was read."],
  };
}
