export { instrument, type Instrumentation, type InstrumentOptions } from "./lib/otel/instrument.ts";
