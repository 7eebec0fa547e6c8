import ms from "ms";

type Unit =
  | ("ms" | "msec" | "msecs" | "millisecond" | "milliseconds" | "s" | "sec" | "secs" | "second" | "seconds")
  | ("m" | "min" | "mins" | "minute" | "minutes" | "h" | "hr" | "hrs" | "hour" | "hours" | "d" | "day" | "days")
  | ("w" | "week" | "weeks" | "y" | "yr" | "yrs" | "year" | "years");

/**
 * A duration: milliseconds, or a number with a unit that the `ms` package reads, such as `"20m"`, `"24h"` or `"30 days"`. A text without a
 * unit is refused, because `"5"` would be 5 milliseconds.
 */
export type Duration = number | `${number}${"" | " "}${Unit | Uppercase<Unit> | Capitalize<Unit>}`;

/** A hundred years in milliseconds. SCS keeps deadlines as nanoseconds in Go's int64, which ends in 2262. */
const MAX_DURATION_MS = 100 * 365.25 * 24 * 3600 * 1000;
/** Maximum length of a wrong string that an error quotes. */
const MAX_SHOWN_CHARACTERS = 80;

/**
 * Reads the options of a call one by one and refuses unknown ones. An option that is undefined counts as absent.
 *
 * @example
 * const read = new OptionReader(options);
 * const lifetime = read.duration("lifetime", "1 day", { isPositive: true });
 * read.end();
 */
export class OptionReader {
  readonly #given: Record<string, unknown>;
  readonly #prefix: string;
  readonly #known = new Set<string>();

  /**
   * Begins to read a caller's options.
   *
   * @param given - the options, in their original object
   * @param prefix - the text before each name in messages: `"cookie."`
   * @throws TypeError when the options are not an object
   */
  constructor(given: unknown, prefix = "") {
    if (typeof given !== "object" || given === null) {
      throw wrong(prefix.replace(/[.: ]+$/, "") || "options", "an object", given);
    }
    this.#given = given as Record<string, unknown>;
    this.#prefix = prefix;
  }

  /** Reads any value. */
  value(name: string, fallback?: unknown): unknown {
    this.#known.add(name);
    const value = this.#given[name];
    return value === undefined ? fallback : value;
  }

  /** Reads a boolean. @throws TypeError, naming the option, for another value */
  bool(name: string, fallback: boolean): boolean {
    const value = this.value(name, fallback);
    if (typeof value !== "boolean") throw this.wrong(name, "a boolean");
    return value;
  }

  /** Reads a duration, in milliseconds. @throws TypeError, naming the option, for another value */
  duration(name: string, fallback: Duration, range?: DurationRange): number {
    return parseDuration(this.#prefix + name, this.value(name, fallback), range);
  }

  /** Reads a whole number from 1, or Infinity if allowed. @throws TypeError, naming the option, for another value */
  whole(name: string, fallback: number, allowsInfinity = false): number {
    const value = this.value(name, fallback);
    const isWhole = Number.isSafeInteger(value) || (allowsInfinity && value === Number.POSITIVE_INFINITY);
    if (isWhole && (value as number) >= 1) return value as number;
    throw this.wrong(name, `a whole number from 1${allowsInfinity ? ", or Infinity" : ""}`);
  }

  /** Reads a string of a form, by default a non-empty one. @throws TypeError, naming the option and the form, for another value */
  text<Fallback extends string | undefined>(
    name: string,
    fallback: Fallback,
    expected = "a non-empty string",
    form = /[^]/,
  ): string | Fallback {
    const value = this.value(name);
    if (value === undefined) return fallback;
    if (typeof value !== "string" || !form.test(value)) throw this.wrong(name, expected);
    return value;
  }

  /** Reads one of several values. @throws TypeError, naming the option, for another value */
  choice<T extends string | boolean>(name: string, choices: readonly T[], fallback: T): T {
    const value = this.value(name, fallback);
    if (choices.includes(value as T)) return value as T;
    const last = shown(choices.at(-1));
    throw this.wrong(name, `${choices.slice(0, -1).map(shown).join(", ")} or ${last}`);
  }

  /** Reads an optional function. @throws TypeError, naming the option, for another value */
  callback<F extends (...parameters: never[]) => unknown>(name: string): F | undefined {
    const value = this.value(name);
    if (value !== undefined && typeof value !== "function") throw this.wrong(name, "a function");
    return value as F | undefined;
  }

  /** Makes the error for a wrong option. It quotes the value. */
  wrong(name: string, expected: string): TypeError {
    return wrong(this.#prefix + name, expected, this.#given[name]);
  }

  /** Refuses options that were not read. @throws TypeError, naming the first unknown option */
  end(): void {
    assertKnown(this.#given, [...this.#known], this.#prefix);
  }
}

/** Checks that every given option exists. @throws TypeError, naming the first unknown option */
export function assertKnown(given: object | undefined, known: readonly string[], prefix = ""): void {
  for (const name in given) {
    if (known.includes(name)) continue;
    throw new TypeError(`${prefix}${name}: there is no such option, expected ${known.join(", ")}`);
  }
}

/**
 * Reads the option `signal` of a store's operation. An OptionReader would cost too much on the path of each request.
 *
 * @param others - the operation's other options
 * @throws TypeError, naming the option, when it is unknown or `signal` is not an AbortSignal
 */
export function signalOf(
  options: { signal?: AbortSignal | undefined } | undefined,
  ...others: readonly string[]
): AbortSignal | undefined {
  if (options === undefined) return undefined;
  assertKnown(options, ["signal", ...others]);
  const { signal } = options;
  // Frames and test environments have an AbortSignal class of their own, so `instanceof` would refuse their signals.
  if (signal === undefined || typeof signal?.addEventListener === "function") return signal;
  throw wrong("signal", "an AbortSignal", signal);
}

/** Limits of a duration. */
export interface DurationRange {
  /** Whether 0 is refused. */
  isPositive?: boolean;
  /** Milliseconds. Default: a hundred years. */
  max?: number;
}

/**
 * Reads a duration, in milliseconds.
 *
 * @param option - the option's name, for the message
 * @returns milliseconds, not negative
 * @throws TypeError, naming the option, for another value or one out of range
 */
export function parseDuration(
  option: string,
  value: unknown,
  { isPositive = false, max = MAX_DURATION_MS }: DurationRange = {},
): number {
  let milliseconds: number | undefined;
  if (typeof value === "number") milliseconds = value;
  else if (typeof value === "string" && value.length > 0 && value.length <= 100) {
    if (Number.isFinite(Number(value))) throw wrong(option, 'a duration with a unit, such as "20m" or "5s"', value);
    milliseconds = ms(value as ms.StringValue);
  }
  if (milliseconds === undefined || Number.isNaN(milliseconds)) {
    throw wrong(option, 'a duration such as 60000 or "20m"', value);
  }
  if (milliseconds < 0 || milliseconds > max || (isPositive && milliseconds === 0)) {
    const upTo = max === MAX_DURATION_MS ? "100 years" : `${max} ms`;
    throw wrong(option, `a duration of ${isPositive ? "more than" : "at least"} 0 and at most ${upTo}`, value);
  }
  return milliseconds;
}

/** Makes the error for a wrong option or argument. It quotes the value, so it must not be used for secrets. */
export function wrong(option: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${option}: expected ${expected}, got ${shown(value)}`);
}

/** Formats a value for an error. */
export function shown(value: unknown): string {
  if (typeof value === "string") {
    return value.length > MAX_SHOWN_CHARACTERS ? `a string of ${value.length} characters` : JSON.stringify(value);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Date && Number.isNaN(value.getTime())) return "an invalid Date";
  return Array.isArray(value) ? "an array" : "an object";
}
