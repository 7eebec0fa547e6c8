import type { ScenarioName } from "../options.ts";
import { measureHttp } from "./http.ts";
import { measureStore } from "./store.ts";
import type { Bench, ScenarioResult } from "./scenario.ts";

export const SCENARIOS: Partial<Record<ScenarioName, (bench: Bench) => Promise<ScenarioResult>>> = {
  store: measureStore,
  http: measureHttp,
};
