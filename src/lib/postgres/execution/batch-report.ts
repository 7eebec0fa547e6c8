import { type BatchEvent, codeOf, publish } from "../../core/events.ts";
import { monotonicNow } from "../../core/time.ts";
import { Again, type BatchOutput, Failed } from "./batch.ts";
import type { Entry } from "./queue.ts";

/**
 * Makes what tells the observers of a batch, later and yet in the asynchronous context of this call: that of the request
 * that waits for the batch, which tracers go by.
 */
export function reporter(): (event: BatchEvent) => void {
  let report: (event: BatchEvent) => void = tellNow;
  void new Promise<BatchEvent>((resolve) => (report = resolve)).then(tellNow);
  return report;
}

/** Tells the observers of what has ended of a batch, on behalf of the operation that has waited for the longest. */
export function reportBatch<In, Out>(
  operation: string,
  batch: readonly Entry<In, Out>[],
  outputs: readonly BatchOutput<Out>[] | Failed,
  sentAt: number,
): void {
  const ended = outputs instanceof Failed ? batch : batch.filter((_, index) => !(outputs[index] instanceof Again));
  if (ended.length === 0) return;
  const oldest = ended.reduce((one, other) => (other.since < one.since ? other : one));
  const failures =
    outputs instanceof Failed ? batch.map(() => outputs) : outputs.filter((one) => one instanceof Failed);
  const [first] = failures;
  const event: BatchEvent = {
    operation,
    size: ended.length,
    wait: sentAt - oldest.since,
    duration: monotonicNow() - sentAt,
    failed: failures.length,
  };
  if (first !== undefined) event.code = codeOf(first.error);
  (oldest.report ?? tellNow)(event);
}

function tellNow(event: BatchEvent): void {
  publish("batch", event);
}
