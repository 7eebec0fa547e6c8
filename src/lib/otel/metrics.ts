import type { Counter, Histogram, Meter } from "@opentelemetry/api";
import type { Listeners } from "../core/events.ts";
import { attributesOfCleanup, attributesOfCommit, attributesOfLoad, attributesOfOperation } from "./attributes.ts";

/** Seconds: a find takes a fraction of a millisecond, the longest that is waited is 5 s by default. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Powers of two up to the most rows that share a statement by default. */
const SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/** Makes the instruments of a meter, and what records events with them. */
export function metricsOf(meter: Meter): Listeners {
  const seconds = (name: string, description: string): Histogram =>
    meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries: SECONDS } });
  const counter = (name: string, unit: string, description: string): Counter =>
    meter.createCounter(name, { description, unit });

  const load = seconds("pgstore.load.duration", "How long requests waited for their sessions");
  const commit = seconds("pgstore.commit.duration", "How long requests waited for their sessions to be stored");
  const duration = seconds("pgstore.batch.duration", "How long operations took that shared a statement");
  const wait = seconds("pgstore.batch.wait", "How long the oldest operation of a batch waited before it left");
  const size = meter.createHistogram("pgstore.batch.size", {
    description: "Operations that shared a statement",
    unit: "{operation}",
    advice: { explicitBucketBoundaries: SIZES },
  });
  const errors = counter("pgstore.store.errors", "{operation}", "Operations of a store that failed");
  const gone = counter("pgstore.gone", "{commit}", "Commits that were dropped as their sessions had ended");
  const conflicts = counter("pgstore.conflicts", "{attempt}", "Attempts to commit that other requests had forestalled");
  const stale = counter("pgstore.stale", "{request}", "Requests with the token of a session that had just ended");
  const duplicates = counter("pgstore.duplicates", "{request}", "Requests with several tokens");
  const unreadable = counter("pgstore.unreadable", "{row}", "Rows that held what their codec can't have written");
  const cleanup = seconds("pgstore.cleanup.duration", "How long removals of expired rows took");
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
    gone: () => gone.add(1),
    conflict: () => conflicts.add(1),
    stale: () => stale.add(1),
    duplicate: () => duplicates.add(1),
    error: () => unreadable.add(1),
    cleanup: (event) => {
      cleanup.record(event.duration / 1000, attributesOfCleanup(event));
      removed.add(event.removed);
    },
  };
}
