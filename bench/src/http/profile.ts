import { Session } from "node:inspector/promises";

/** Parts of a request's way, in the order of the table. */
export const PARTS = [
  "Node",
  "adapter and held response",
  "cookie and hash",
  "manager and state",
  "codec",
  "queue and batch",
  "driver",
  "garbage collection",
  "other packages and the application",
] as const;
export type Part = (typeof PARTS)[number];

/** What a server did while it was profiled. */
export interface Profile {
  /** Share of the time that the processor was busy, by part. Together they are 1. */
  shares: Partial<Record<Part, number>>;
  /** Share of each function that had some, by its name and file, without what it called. */
  functions: Record<string, number>;
  /** Bytes allocated, estimated from samples. */
  allocated: number;
}

/** Microseconds between two samples of the processor. */
const SAMPLE_US = 200;
/** Bytes between two samples of the heap, on average. */
const SAMPLE_BYTES = 16_384;

const ROOMS: readonly (readonly [RegExp, Part])[] = [
  [/\/dist\/lib\/(?:adapters|scs|express-session)\//, "adapter and held response"],
  [/\/dist\/lib\/(?:http\/|core\/token|manager\/request)/, "cookie and hash"],
  [/\/dist\/lib\/(?:manager|session|core|memory)\//, "manager and state"],
  [/\/dist\/lib\/codec\//, "codec"],
  [/\/dist\/lib\/postgres\/drivers\//, "driver"],
  [/\/dist\/lib\/postgres\//, "queue and batch"],
  [/\/node_modules\/(?:pg|pg-[a-z]+|postgres[a-z-]*)\//, "driver"],
];

/** The part that a function belongs to; undefined: the processor was idle, or "dispatch" ran the profiler itself. */
export function partOf({ functionName, url }: { functionName: string; url: string }): Part | undefined {
  if (functionName === "(idle)" || (functionName === "dispatch" && url === "")) return undefined;
  if (functionName === "(garbage collector)") return "garbage collection";
  const room = ROOMS.find(([pattern]) => pattern.test(url));
  if (room !== undefined) return room[1];
  return url === "" || url.startsWith("node:") ? "Node" : "other packages and the application";
}

/** Names a function by its file: below `dist/lib`, in its package, or in Node. */
export function nameOf({ functionName, url }: { functionName: string; url: string }): string {
  const file = url.replace(/^.*\/(?:dist\/lib|node_modules)\//, "").replace(/^file:.*\//, "");
  return `${functionName || "(anonymous)"} ${file}`.trimEnd();
}

/** Watches this process until the function that it resolves to is called. */
export async function startProfile(): Promise<() => Promise<Profile>> {
  const session = new Session();
  session.connect();
  await session.post("HeapProfiler.startSampling", {
    samplingInterval: SAMPLE_BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  } as never);
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: SAMPLE_US });
  await session.post("Profiler.start");
  return async () => {
    const { profile } = await session.post("Profiler.stop");
    const { profile: heap } = await session.post("HeapProfiler.stopSampling");
    session.disconnect();
    const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
    const spent = new Map<Part, number>();
    const spentIn = new Map<string, number>();
    let busy = 0;
    for (const [index, id] of (profile.samples ?? []).entries()) {
      const frame = frames.get(id);
      if (frame === undefined) continue;
      const part = partOf(frame);
      const time = profile.timeDeltas?.[index] ?? 0;
      if (part === undefined) continue;
      const name = nameOf(frame);
      spent.set(part, (spent.get(part) ?? 0) + time);
      spentIn.set(name, (spentIn.get(name) ?? 0) + time);
      busy += time;
    }
    const sharesOf = <Key extends string>(times: Map<Key, number>) =>
      Object.fromEntries(Array.from(times, ([key, time]) => [key, time / busy])) as Record<Key, number>;
    return { shares: sharesOf(spent), functions: sharesOf(spentIn), allocated: sizeOf(heap.head) };
  };
}

interface HeapNode {
  selfSize: number;
  children: HeapNode[];
}

function sizeOf({ selfSize, children }: HeapNode): number {
  return children.reduce((sum, child) => sum + sizeOf(child), selfSize);
}
