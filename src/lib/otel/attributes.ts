import type { Attributes } from "@opentelemetry/api";
import type { BatchEvent, CleanupEvent, CommitEvent, LoadEvent, StoreErrorEvent } from "../core/events.ts";

/** Attributes of few values, fit for metrics; named by OpenTelemetry's conventions where they have a name. */
export function attributesOfLoad({ outcome, code }: LoadEvent): Attributes {
  return { "pgstore.outcome": outcome, ...errorType(code) };
}

export function attributesOfCommit({ plan, outcome, code }: CommitEvent): Attributes {
  return { ...(plan === undefined ? {} : { "pgstore.plan": plan }), "pgstore.outcome": outcome, ...errorType(code) };
}

export function attributesOfOperation({ operation, code }: BatchEvent | StoreErrorEvent): Attributes {
  return { "db.system.name": "postgresql", "db.operation.name": operation, ...errorType(code) };
}

export function attributesOfCleanup({ code }: CleanupEvent): Attributes {
  return errorType(code);
}

function errorType(code: string | undefined): Attributes {
  return code === undefined ? {} : { "error.type": code };
}
