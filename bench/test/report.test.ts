import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawCharts } from "../src/report/charts.ts";
import { defeatsIn } from "../src/report/defeats.ts";
import { withSummary } from "../src/report/documents.ts";
import type { ScenarioResult } from "../src/scenarios/scenario.ts";

const result = (name: ScenarioResult["name"], values: ScenarioResult["values"]): ScenarioResult => ({
  name,
  title: "Title",
  tables: [],
  values,
  measures: {},
  notes: [],
});
const store = result("store", {
  "find/64/pgstore": [100, 110],
  "find/64/slow": [50, 60],
  "find/64/quick": [200, 220],
  "lone/pgstore": [1],
});
const http = result("http", {
  "get/bare/rate": [900],
  "get/pgstore/rate": [100],
  "get/redis/rate": [50],
  "inc/pgstore/rate": [100],
  "inc/redis/rate": [400],
});

describe("withSummary", () => {
  it("replaces what is between the markers", () => {
    const readme = "a\n<!-- benchmarks:start -->\nold\n<!-- benchmarks:end -->\nz";
    const once = withSummary(readme, "new");
    assert.equal(once, "a\n<!-- benchmarks:start -->\n\nnew\n\n<!-- benchmarks:end -->\nz");
    assert.equal(withSummary(once, "new"), once);
  });

  it("leaves a file without both markers alone", () => {
    assert.equal(withSummary("a", "new"), undefined);
    assert.equal(withSummary("<!-- benchmarks:start -->", "new"), undefined);
    assert.equal(withSummary("<!-- benchmarks:end --><!-- benchmarks:start -->", "new"), undefined);
  });
});

describe("defeatsIn", () => {
  it("names who was quicker, and by how much", () => {
    assert.deepEqual(defeatsIn([store, http]), [
      "find, 64 in flight: quick (0.5)",
      "HTTP INC: express-session + connect-redis on node:http (0.25)",
    ]);
  });
});

describe("drawCharts", () => {
  it("draws SVG that follows the reader's preference for dark", async () => {
    const charts = await drawCharts([store, http, result("touch", {})]);
    assert.deepEqual(Object.keys(charts), ["store.svg", "http.svg", "choice.svg"]);
    for (const svg of Object.values(charts)) {
      assert.match(svg, /^<svg [^>]*><style>@media \(prefers-color-scheme:dark\)/);
      assert.doesNotMatch(svg, /NaN|undefined/);
    }
  });
});
