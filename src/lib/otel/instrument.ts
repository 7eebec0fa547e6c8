import { type MeterProvider, metrics, trace, type TracerProvider } from "@opentelemetry/api";
import { listen } from "../core/events.ts";
import { OptionReader } from "../core/options.ts";
import { metricsOf } from "./metrics.ts";
import { spansOf } from "./spans.ts";

/** Options of `instrument`. */
export interface InstrumentOptions {
  /** Provider that receives the metrics. Default: the global one at the time of the call. */
  meterProvider?: MeterProvider | undefined;
  /** Provider that receives the spans. Default: the global one. */
  tracerProvider?: TracerProvider | undefined;
}

/** A running instrumentation, which `using` can hold. */
export interface Instrumentation {
  /** Stops the recording. Idempotent. */
  stop(): void;
  [Symbol.dispose](): void;
}

/**
 * Records pgstore's events in this process as OpenTelemetry metrics and spans, until it is stopped.
 *
 * Call it once, after the providers are set up. A second call records everything twice. No metric and no span holds a token.
 *
 * @throws TypeError, naming the option, when one is wrong
 * @example
 * const instrumentation = instrument();
 * process.once("SIGTERM", () => instrumentation.stop());
 */
export function instrument(options: InstrumentOptions = {}): Instrumentation {
  const read = new OptionReader(options);
  const meterProvider = read.value("meterProvider", metrics) as MeterProvider | null;
  const tracerProvider = read.value("tracerProvider", trace) as TracerProvider | null;
  if (typeof meterProvider?.getMeter !== "function") throw read.wrong("meterProvider", "a MeterProvider");
  if (typeof tracerProvider?.getTracer !== "function") throw read.wrong("tracerProvider", "a TracerProvider");
  read.end();
  const stops = [
    listen(metricsOf(meterProvider.getMeter("pgstore"))),
    listen(spansOf(tracerProvider.getTracer("pgstore"))),
  ];
  const stop = (): void => {
    for (const end of stops) end();
  };
  return { stop, [Symbol.dispose]: stop };
}
