import process from "node:process";
import { inspect } from "node:util";
import { codecContract } from "../../../test/contract/codec-contract.ts";
import { adapterGroups } from "./adapter.ts";
import { expressSessionGroup } from "./express-session.ts";
import type { Group } from "./group.ts";
import { storeGroups } from "./stores.ts";

const PROMISE_MS = 30_000;

/** Runs in each runtime: every contract, one promise after the other. */
async function main(url: string): Promise<boolean> {
  const codecs: Group = { title: "the codec contract", open: async () => ({ promises: codecContract }) };
  let passed = 0;
  let failed = 0;
  const fail = (title: string, error: unknown): void => {
    failed++;
    console.log(`failed: ${title}: ${inspect(error)}`);
  };
  for (const group of [...storeGroups(url), expressSessionGroup(url), ...adapterGroups, codecs]) {
    try {
      const { promises, close } = await group.open();
      for (const [title, run] of Object.entries(promises)) {
        try {
          await inTime(run);
          passed++;
        } catch (error) {
          fail(`${group.title}: ${title}`, error);
        }
      }
      await close?.();
    } catch (error) {
      fail(group.title, error);
    }
  }
  console.log(`runtime ${nameOfRuntime()}: ${passed} passed, ${failed} failed`);
  return failed === 0;
}

async function inTime(run: () => void | Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${PROMISE_MS / 1000} s`)), PROMISE_MS);
  });
  try {
    await Promise.race([run(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function nameOfRuntime(): string {
  const { bun, deno, node } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`;
}

// Only who comes to the end has succeeded: not every runtime says so of a promise that nothing can settle any more.
process.exitCode = 1;
const isGood = await main(process.argv[2] ?? "");
process.exit(isGood ? 0 : 1);
