import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { NoSkipReporter } from "./test/support/no-skip-reporter.ts";

const source = (file: string): string => fileURLToPath(new URL(`src/${file}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^pgstore$/, replacement: source("index.ts") },
      { find: /^pgstore\/(session|node|codecs)$/, replacement: source("$1.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/support/global-setup.ts",
    pool: "forks",
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", new NoSkipReporter()],
    coverage: {
      provider: "v8",
      include: ["src/lib/**"],
      reporter: ["text", "json-summary"],
      thresholds: { branches: 95 },
    },
  },
});
