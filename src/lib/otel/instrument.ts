import { type MeterProvider, metrics, trace, type TracerProvider } from "@opentelemetry/api";
import { listen } from "../core/events.ts";
import { OptionReader } from "../core/options.ts";
import { metricsOf } from "./metrics.ts";
import { spansOf } from "./spans.ts";

/** Options of `instrument`. */
export interface InstrumentOptions {
  /** Where metrics go. Default: the global one, as it is at the call. */
  meterProvider?: MeterProvider | undefined;
  /** Where spans go. Default: the global one. */
  tracerProvider?: TracerProvider | undefined;
}

/** What `instrument` has begun. */
export interface Instrumentation {
  /** Ends it. Idempotent. */
  stop(): void;
  [Symbol.dispose](): void;
}

/**
 * Records what pgstore does in this process as OpenTelemetry metrics and spans, until it is stopped. Call it once, when
 * the providers are set up; a second call records everything once more. Neither a metric nor a span holds a token.
 *
 * @throws TypeError when an option is wrong; it names the option
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
