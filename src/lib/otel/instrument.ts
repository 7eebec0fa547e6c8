import { type MeterProvider, metrics, trace, type TracerProvider } from "@opentelemetry/api";
import { listen } from "../core/events.ts";
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

const NAMES = ["meterProvider", "tracerProvider"];

/**
 * Records what pgstore does in this process as OpenTelemetry metrics and spans, until it is stopped. Call it once, when
 * the providers are set up; a second call records everything once more. Neither a metric nor a span holds a token.
 *
 * @throws TypeError when an option is wrong; it names the option
 */
export function instrument(options: InstrumentOptions = {}): Instrumentation {
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) throw new TypeError(`${name}: there is no such option`);
  }
  const { meterProvider = metrics, tracerProvider = trace } = options;
  if (typeof meterProvider?.getMeter !== "function") throw new TypeError("meterProvider: must be a MeterProvider");
  if (typeof tracerProvider?.getTracer !== "function") throw new TypeError("tracerProvider: must be a TracerProvider");
  const stops = [
    listen(metricsOf(meterProvider.getMeter("pgstore"))),
    listen(spansOf(tracerProvider.getTracer("pgstore"))),
  ];
  const stop = (): void => {
    for (const end of stops) end();
  };
  return { stop, [Symbol.dispose]: stop };
}
