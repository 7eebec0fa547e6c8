import { execFileSync } from "node:child_process";

/** Which processor cores do what, as `taskset` writes lists of them. */
export interface Cores {
  /** What is measured: the process with pgstore or a peer in it. */
  measured: string;
  /** PostgreSQL, Redis and the load generator. */
  others: string;
}

/** Divides the cores that this process may use; undefined without `taskset` or a second core. */
export function divideCores(): Cores | undefined {
  const [first, ...others] = allowedCores();
  return first === undefined || others.length === 0 ? undefined : { measured: String(first), others: others.join(",") };
}

/** Binds a process, with all its threads, to cores; processes that it starts later inherit them. */
export function pin(pid: number, cores: string | undefined): void {
  if (cores !== undefined) execFileSync("taskset", ["--all-tasks", "--pid", "--cpu-list", cores, String(pid)]);
}

function allowedCores(): number[] {
  let answer: string;
  try {
    const pid = String(process.pid);
    answer = execFileSync("taskset", ["--pid", "--cpu-list", pid], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return [];
  }
  // "pid 12's current affinity list: 0,2-5"
  const list = answer.slice(answer.lastIndexOf(":") + 1).trim();
  return list.split(",").flatMap((range) => {
    const [from = NaN, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, n) => from + n);
  });
}
