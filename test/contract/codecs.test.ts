import { describe, it } from "vitest";
import { codecContract } from "./codec-contract.ts";

describe("the codec contract", () => {
  for (const [title, run] of Object.entries(codecContract)) it(title, run);
});
