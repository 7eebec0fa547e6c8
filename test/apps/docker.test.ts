import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browser } from "../package/clients.ts";
import { startExample } from "../package/example-process.ts";
import { pack, type Packed, run } from "../package/tarball.ts";
import { walkThrough } from "../package/walk.ts";
import { createDatabase } from "../support/database.ts";
import { command, folder, instructions, services } from "../support/docker-example.ts";
import { environment } from "../support/undertaker.ts";

let packed: Packed;
beforeAll(async () => {
  packed = await pack();
});
afterAll(() => packed?.remove());

/** Follows the Dockerfile in a folder, with the packed library. */
async function build(target: string): Promise<void> {
  mkdirSync(target);
  for (const { name, rest } of instructions) {
    const words = rest.split(" ");
    if (name === "RUN") await run(words[0] ?? "", [...words.slice(1), "--prefer-offline"], target, environment());
    if (name !== "COPY") continue;
    for (const pattern of words.slice(0, -1)) {
      const [start = "", end = start] = pattern.split("*");
      const files = readdirSync(folder).filter((file) => file.startsWith(start) && file.endsWith(end));
      for (const file of files) cpSync(join(folder, file), join(target, file));
    }
    const manifest = join(target, "package.json");
    const { dependencies, ...others } = JSON.parse(readFileSync(manifest, "utf8")) as { dependencies: object };
    const packedOne = { ...dependencies, pgstore: `file:${packed.tarball}` };
    writeFileSync(manifest, JSON.stringify({ ...others, dependencies: packedOne }));
  }
}

describe("examples/docker", () => {
  it("runs what its images run: migrate, then the program", async ({ onTestFinished }) => {
    const target = join(dirname(packed.tarball), "docker");
    await build(target);
    const database = await createDatabase({ template: false });
    onTestFinished(() => database.drop());
    const [npx = "", ...args] = services.migrate.command ?? [];
    const said = await run(npx, args, target, { ...environment(), DATABASE_URL: database.url });
    expect(said).toContain('created table "sessions"');
    const program = { folder: target, command: process.execPath, args: command.slice(1) };
    const running = await startExample(program, database.url, onTestFinished);
    expect(await (await fetch(`${running.url}/health`)).text()).toBe("ok");
    await walkThrough({ client: browser, posted: 303 }, running, database.pool({ max: 1 }));
  });
});
