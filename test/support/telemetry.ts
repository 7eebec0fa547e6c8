import {
  AggregationTemporality,
  type DataPoint,
  DataPointType,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { onTestFinished } from "vitest";

/** A metric and its recorded values by attributes. */
export interface Recorded {
  kind: "histogram" | "counter" | undefined;
  unit: string;
  points: DataPoint<number | Histogram>[];
}

const KINDS: Partial<Record<DataPointType, Recorded["kind"]>> = {
  [DataPointType.HISTOGRAM]: "histogram",
  [DataPointType.SUM]: "counter",
};

/** Sets up OpenTelemetry's own providers until the test ends. They keep everything in memory. */
export function telemetry() {
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 1e9 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const spanExporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] });
  onTestFinished(async () => {
    await meterProvider.shutdown();
    await tracerProvider.shutdown();
  });
  return {
    meterProvider,
    tracerProvider,
    spans: (): ReadableSpan[] => spanExporter.getFinishedSpans(),
    /** By the metric's name. */
    async recorded(): Promise<Map<string, Recorded>> {
      metricExporter.reset();
      await meterProvider.forceFlush();
      const scopes = metricExporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
      const all = scopes.flatMap(({ metrics }) => metrics);
      return new Map(
        all.map(({ descriptor: { name, unit }, dataPointType, dataPoints }) => [
          name,
          { kind: KINDS[dataPointType], unit, points: dataPoints as Recorded["points"] },
        ]),
      );
    },
  };
}
