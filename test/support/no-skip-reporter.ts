import type { Reporter, TestModule } from "vitest/node";

/**
 * Ends the run with a line of totals. With CI=true a skipped test is a failure: CI installs what tests need, so a skip
 * there would only hide that something is no longer tested.
 */
export class NoSkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const totals = { passed: 0, failed: 0, skipped: 0 };
    const skipped: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "pending") continue;
        totals[state]++;
        if (state === "skipped") skipped.push(`${module.moduleId}: ${test.fullName}`);
      }
    }
    if (skipped.length > 0 && process.env["CI"] === "true") {
      console.error(`Skipped, and in CI that is a failure:\n${skipped.join("\n")}`);
      process.exitCode = 1;
    }
    console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  }
}
