/**
 * Keeps `inFlight` operations going, each followed by the next, for a while.
 *
 * @param step - an operation of the worker of that number, below `inFlight`
 * @returns operations a second
 */
export async function closedLoop(
  inFlight: number,
  milliseconds: number,
  step: (worker: number) => Promise<void>,
): Promise<number> {
  let done = 0;
  const start = performance.now();
  const end = start + milliseconds;
  const work = async (worker: number): Promise<void> => {
    while (performance.now() < end) {
      await step(worker);
      done++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
  return done / ((performance.now() - start) / 1000);
}

/** Does operations one after the other and returns what each took, in milliseconds. */
export async function oneByOne(count: number, step: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const start = performance.now();
    await step();
    times.push(performance.now() - start);
  }
  return times;
}

/** The list, begun at another place in each round, so that nobody always comes first. */
export function rotate<T>(list: readonly T[], round: number): T[] {
  const first = round % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}
