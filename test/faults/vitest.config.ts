import { defineConfig } from "vitest/config";
import base from "../../vitest.config.ts";

/** The faults take minutes, and whole servers. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ["test/faults/**/*.test.ts"], exclude: [], testTimeout: 120_000 },
});
