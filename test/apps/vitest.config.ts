import { defineConfig } from "vitest/config";
import { NoSkipReporter } from "../support/no-skip-reporter.ts";

/** For the packed tarball, and for what needs packages that `npm test` does without. */
export default defineConfig({
  test: {
    include: ["test/apps/*.test.ts", "test/package/package.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    testTimeout: 300_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    reporters: ["verbose", new NoSkipReporter()],
  },
});
