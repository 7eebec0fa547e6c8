import { APPS } from "../http/apps.ts";
import type { ScenarioResult } from "../scenarios/scenario.ts";
import { median, ratios } from "../stats.ts";
import { numberText } from "../text.ts";

/** Where a peer was quicker than pgstore, each with the ratio, pgstore's to the peer's. */
export function defeatsIn(results: readonly ScenarioResult[]): string[] {
  return results.flatMap(({ name, values }) => {
    if (name === "store") return storeDefeats(values);
    return name === "http" ? httpDefeats(values) : [];
  });
}

function storeDefeats(values: Record<string, number[]>): string[] {
  return Object.entries(values).flatMap(([path, theirs]) => {
    const [operation, inFlight, peer] = path.split("/");
    const ours = values[`${operation}/${inFlight}/pgstore`];
    return peer === undefined ? [] : defeat(`${operation}, ${inFlight} in flight: ${peer}`, ours, theirs);
  });
}

function httpDefeats(values: Record<string, number[]>): string[] {
  return ["get", "inc"].flatMap((operation) => {
    const ours = values[`${operation}/pgstore/rate`];
    return APPS.filter(({ id, isBare }) => isBare !== true && !id.startsWith("pgstore")).flatMap(({ id, name }) =>
      defeat(`HTTP ${operation.toUpperCase()}: ${name}`, ours, values[`${operation}/${id}/rate`]),
    );
  });
}

function defeat(what: string, ours: number[] | undefined, theirs: number[] | undefined): string[] {
  if (ours === undefined || theirs === undefined) return [];
  const ratio = median(ratios(ours, theirs));
  return ratio < 1 ? [`${what} (${numberText(ratio)})`] : [];
}
