import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { NoSkipReporter } from "./test/support/no-skip-reporter.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^pgstore$/, replacement: file("src/index.ts") },
      { find: /^pgstore\/([a-z-]+)$/, replacement: file("src/$1.ts") },
      { find: /^next\/([a-z]+)(?:\.js)?$/, replacement: file("test/support/next-$1.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/support/token-leaks.ts"],
    exclude: ["test/apps/**", "test/faults/**", "test/package/package.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    // They wait for the database more than they compute; as many as there are cores but one would leave half of them idle.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    testTimeout: 30_000,
    // A poll ends when it is true. On a busy machine that takes longer than the default second.
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 90_000,
    teardownTimeout: 20_000,
    reporters: ["default", new NoSkipReporter()],
    coverage: {
      provider: "v8",
      include: ["src/lib/**"],
      // An application, which its tests start in a process of its own.
      exclude: ["src/lib/cli/demo/**"],
      reporter: ["text", "json-summary"],
      thresholds: { branches: 94 },
    },
  },
});
