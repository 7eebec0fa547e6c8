/** What several rounds measured. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** @throws RangeError when there are no values */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].toSorted((a, b) => a - b);
  return { median: median(sorted), min: at(sorted, 0), max: at(sorted, sorted.length - 1) };
}

/** @throws RangeError when there are no values */
export function median(values: readonly number[]): number {
  const sorted = [...values].toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (at(sorted, Math.ceil(middle) - 1) + at(sorted, Math.floor(middle))) / 2;
}

/**
 * The smallest value that `share` of the values do not exceed (nearest rank).
 *
 * @param share - above 0, up to 1
 * @throws RangeError when there are no values
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).toSorted();
  return at(sorted, Math.ceil(share * sorted.length) - 1);
}

/**
 * Where the median of what the values are a sample of lies, with 95 % confidence. By ranks, so that it holds for any
 * distribution.
 *
 * @throws RangeError when there are too few values
 */
export function medianInterval(values: readonly number[]): [low: number, high: number] {
  const sorted = Float64Array.from(values).toSorted();
  const margin = (1.96 * Math.sqrt(sorted.length)) / 2;
  return [at(sorted, Math.floor(sorted.length / 2 - margin)), at(sorted, Math.ceil(sorted.length / 2 + margin))];
}

/** The ratios of values that were measured in the same round. */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  if (above.length !== below.length) throw new RangeError("ratios: the numbers of rounds differ");
  return above.map((value, round) => value / at(below, round));
}

function at(values: ArrayLike<number>, index: number): number {
  const value = values[index];
  if (value === undefined) throw new RangeError("there are no values");
  return value;
}
