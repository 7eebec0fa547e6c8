import type { Counter, Histogram, Meter } from "@opentelemetry/api";
import type { Listeners } from "../core/events.ts";
import { attributesOfCommit, attributesOfLoad, attributesOfOperation, errorType } from "./attributes.ts";

/** Bucket boundaries in seconds. A find takes a fraction of a millisecond, and the default time limit is 5 s. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Bucket boundaries: powers of two, beyond the 256 rows that share a statement by default. */
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Creates the instruments of a meter and returns the listeners that record events with them. */
export function metricsOf(meter: Meter): Listeners {
  const seconds = (name: string, description: string): Histogram =>
    meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries: SECONDS } });
  const counter = (name: string, unit: string, description: string): Counter =>
    meter.createCounter(name, { description, unit });
  /** Creates a counter and returns a listener that counts events with it. */
  const counting = (name: string, unit: string, description: string): (() => void) => {
    const events = counter(name, unit, description);
    return () => events.add(1);
  };

  const load = seconds("pgstore.load.duration", "Time that requests waited for their sessions");
  const commit = seconds("pgstore.commit.duration", "Time that requests waited for their sessions to be stored");
  const duration = seconds("pgstore.batch.duration", "Time that a statement shared by several operations took");
  const wait = seconds("pgstore.batch.wait", "Time that the oldest operation of a batch waited to be sent");
  const size = meter.createHistogram("pgstore.batch.size", {
    description: "Operations that shared a statement",
    unit: "{operation}",
    advice: { explicitBucketBoundaries: SIZES },
  });
  const errors = counter("pgstore.store.errors", "{operation}", "Operations of a store that failed");
  const cleanup = seconds("pgstore.cleanup.duration", "Time that removals of expired rows took");
  const removed = counter("pgstore.cleanup.removed", "{row}", "Expired rows that were removed");

  return {
    load: (event) => load.record(event.duration / 1000, attributesOfLoad(event)),
    commit: (event) => commit.record(event.duration / 1000, attributesOfCommit(event)),
    batch: (event) => {
      const attributes = attributesOfOperation(event);
      duration.record(event.duration / 1000, attributes);
      wait.record(event.wait / 1000, attributes);
      size.record(event.size, attributes);
    },
    "store-error": (event) => errors.add(1, attributesOfOperation(event)),
    gone: counting("pgstore.gone", "{commit}", "Commits that were dropped because their sessions had ended"),
    conflict: counting("pgstore.conflicts", "{attempt}", "Commit attempts that lost against another request's commit"),
    stale: counting("pgstore.stale", "{request}", "Requests with the token of a session that had just ended"),
    duplicate: counting("pgstore.duplicates", "{request}", "Requests with several tokens"),
    error: counting("pgstore.unreadable", "{row}", "Rows that the codec could not read"),
    cleanup: (event) => {
      cleanup.record(event.duration / 1000, errorType(event.code));
      removed.add(event.removed);
    },
  };
}
