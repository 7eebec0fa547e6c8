import type { ScenarioName } from "../options.ts";
import { measureCleanup } from "./cleanup.ts";
import { measureGrowth } from "./growth.ts";
import { measureHttp } from "./http.ts";
import { measureMemory } from "./memory.ts";
import type { Bench, ScenarioResult } from "./scenario.ts";
import { measureStore } from "./store.ts";
import { measureTouch } from "./touch.ts";

export const SCENARIOS: Record<ScenarioName, (bench: Bench) => Promise<ScenarioResult>> = {
  store: measureStore,
  http: measureHttp,
  growth: measureGrowth,
  cleanup: measureCleanup,
  touch: measureTouch,
  memory: measureMemory,
};
