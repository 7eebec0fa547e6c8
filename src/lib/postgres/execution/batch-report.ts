import { type BatchEvent, codeOf, publish } from "../../core/events.ts";
import { type BatchOutput, Company, type Entry, Failed } from "./batch.ts";

/**
 * Makes a function that tells the observers of a batch later, but in the asynchronous context of this call. Tracers attribute
 * the batch by that context to the request that waits for it. In Node 20, AsyncResource.bind takes a hundred times as long.
 */
export function reporter(): (event: BatchEvent) => void {
  let report: (event: BatchEvent) => void = tellNow;
  void new Promise<BatchEvent>((resolve) => (report = resolve)).then(tellNow);
  return report;
}

/** Reports the operations of a batch that have ended, on behalf of the one that has waited longest. */
export function reportBatch<In, Out>(
  operation: string,
  batch: readonly Entry<In, Out>[],
  outputs: readonly BatchOutput<Out>[],
  sentAt: number,
): void {
  const ended = batch.filter((_, index) => !(outputs[index] instanceof Company));
  if (ended.length === 0) return;
  const oldest = ended.reduce((one, other) => (other.since < one.since ? other : one));
  const failures = outputs.filter((one) => one instanceof Failed);
  const [first] = failures;
  const event: BatchEvent = {
    operation,
    size: ended.length,
    wait: sentAt - oldest.since,
    duration: performance.now() - sentAt,
    failed: failures.length,
  };
  if (first !== undefined) event.code = codeOf(first.error);
  (oldest.report ?? tellNow)(event);
}

function tellNow(event: BatchEvent): void {
  publish("batch", event);
}
