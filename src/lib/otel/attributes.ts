import type { Attributes } from "@opentelemetry/api";
import type { BatchEvent, CommitEvent, LoadEvent, StoreErrorEvent } from "../core/events.ts";

// Every attribute here has few values, as metrics need. Names follow OpenTelemetry's conventions where they have one.

/** Returns the attributes of a load. */
export function attributesOfLoad({ outcome, code }: LoadEvent): Attributes {
  return { "pgstore.outcome": outcome, ...errorType(code) };
}

/** Returns the attributes of a commit. */
export function attributesOfCommit({ plan, outcome, code }: CommitEvent): Attributes {
  return { ...(plan === undefined ? {} : { "pgstore.plan": plan }), "pgstore.outcome": outcome, ...errorType(code) };
}

/** Returns the attributes of a store operation or a batch of them. */
export function attributesOfOperation({ operation, code }: BatchEvent | StoreErrorEvent): Attributes {
  return { "db.system.name": "postgresql", "db.operation.name": operation, ...errorType(code) };
}

/** Returns the attribute of a failure, if there was one. A cleanup has no other. */
export function errorType(code: string | undefined): Attributes {
  return code === undefined ? {} : { "error.type": code };
}
