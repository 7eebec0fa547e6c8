import type { SerializedError } from "vitest";
import type { Reporter, TestCase, TestModule, TestSuite, Vitest } from "vitest/node";

/**
 * Prints the run's result as the last line: `N passed, N failed, N skipped`. Files and suites that broke outside of a
 * test and unhandled errors count as failed, and so do tests that did not finish. With CI=true a skipped test fails the
 * run.
 */
export class NoSkipReporter implements Reporter {
  #watch = false;

  onInit(vitest: Vitest): void {
    this.#watch = vitest.config.watch;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const groups: (TestModule | TestSuite)[] = [...modules, ...modules.flatMap((one) => [...one.children.allSuites()])];
    const broken = groups.filter((group) => group.errors().length > 0).length;
    const passed = tests.filter((test) => test.result().state === "passed").length;
    const skipped = tests.filter((test) => test.result().state === "skipped");
    const failed = tests.length - passed - skipped.length + broken + unhandledErrors.length;
    if (process.env["CI"] === "true" && skipped.length > 0) {
      process.exitCode = 1;
      console.error(
        `\nWith CI=true no test may be skipped:\n${skipped.map((test) => `  ${titleOf(test)}\n`).join("")}`,
      );
    }
    const say = (): void => console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
    if (this.#watch) say();
    // The coverage table comes after the reporters.
    else process.once("exit", say);
  }
}

function titleOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}
