import { readFileSync } from "node:fs";
import os from "node:os";

/** Where it was measured. */
export interface Machine {
  cpu: string;
  cores: number;
  memory: string;
  os: string;
}

export function describeMachine(): Machine {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? "unknown",
    cores: cpus.length,
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    os: `${distribution()}, ${os.type()} ${os.release()}`,
  };
}

const PACKAGES = [
  "pg",
  "connect-pg-simple",
  "connect-redis",
  "redis",
  "express-session",
  "express",
  "fastify",
  "@fastify/session",
];

/** Versions of the packages that are measured, by name. */
export function packageVersions(): Record<string, string> {
  const ours = versionIn("../../../package.json");
  return Object.fromEntries([
    ["pgstore", ours],
    ...PACKAGES.map((name) => [name, versionIn(`../../node_modules/${name}/package.json`)]),
  ]) as Record<string, string>;
}

function versionIn(path: string): string {
  const { version } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as { version: string };
  return version;
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? os.platform();
  } catch {
    return os.platform();
  }
}
