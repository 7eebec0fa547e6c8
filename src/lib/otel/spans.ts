import { type Attributes, SpanKind, SpanStatusCode, type Tracer } from "@opentelemetry/api";
import { systemNow } from "../core/time.ts";
import type { Listeners } from "../core/events.ts";
import { attributesOfCommit, attributesOfLoad, attributesOfOperation, errorType } from "./attributes.ts";

/** Returns listeners that turn events into spans. Each span is a child of the span that is active where the event is published. */
export function spansOf(tracer: Tracer): Listeners {
  /** Records a finished span, because events are published only at the end. */
  const span = (name: string, event: { duration: number; code?: string }, attributes: Attributes, kind?: SpanKind) => {
    const end = systemNow();
    const startTime = end - event.duration;
    const whole = tracer.startSpan(name, { startTime, attributes, kind: kind ?? SpanKind.INTERNAL });
    if (event.code !== undefined) whole.setStatus({ code: SpanStatusCode.ERROR, message: event.code });
    whole.end(end);
  };
  return {
    load: (event) => span("pgstore.load", event, { ...attributesOfLoad(event), "pgstore.session.id": event.id }),
    commit: (event) => {
      const id = event.id === undefined ? {} : { "pgstore.session.id": event.id };
      span("pgstore.commit", event, { ...attributesOfCommit(event), ...id, "pgstore.commit.attempts": event.attempts });
    },
    batch: (event) => {
      // OpenTelemetry's conventions don't count a single operation as a batch.
      const size = event.size > 1 ? { "db.operation.batch.size": event.size } : {};
      const attributes = { ...attributesOfOperation(event), ...size, "pgstore.batch.wait": event.wait / 1000 };
      span(`pgstore.${event.operation}`, event, attributes, SpanKind.CLIENT);
    },
    cleanup: (event) =>
      span("pgstore.cleanup", event, { ...errorType(event.code), "pgstore.cleanup.removed": event.removed }),
  };
}
