import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readYaml } from "./yaml.ts";

export const folder = fileURLToPath(new URL("../../examples/docker", import.meta.url));

interface Service {
  image?: string;
  build?: string;
  command?: string[];
  ports?: string[];
  environment: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test: string[] };
  volumes?: string[];
}

export const { services, volumes } = readYaml(readFileSync(join(folder, "compose.yaml"), "utf8")) as unknown as {
  services: Record<"database" | "migrate" | "app", Service>;
  volumes: Record<string, unknown>;
};

/** The instructions of the Dockerfile, in order. */
export const instructions = readFileSync(join(folder, "Dockerfile"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [, name = "", rest = ""] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    return { name, rest };
  });

/** Returns the argument of the only instruction of a name. */
export function instruction(name: string): string {
  const [found, ...others] = instructions.filter((each) => each.name === name);
  if (found === undefined || others.length > 0) throw new Error(`the Dockerfile needs one ${name}`);
  return found.rest;
}

/** The command that the image starts. */
export const command = JSON.parse(instruction("CMD")) as string[];
