import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { freePort } from "../../../test/support/free-port.ts";
import { startUndertaker } from "../../../test/support/undertaker.ts";
import type { Undo } from "./undo.ts";

/** A Redis that keeps everything in memory and writes nothing to the disk. */
export interface Redis {
  url: string;
  version: string;
}

const START_MS = 5000;

/** Starts Redis; undefined when there is none on this machine. */
export async function openRedis(undo: Undo): Promise<Redis | undefined> {
  const program = ["redis-server", "/usr/bin/redis-server"].find(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
  );
  if (program === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "pgstore-bench-"));
  const port = await freePort();
  const undertaker = startUndertaker(folder);
  const settings = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", String(port), "--dir", folder];
  // Detached, or Ctrl-C would reach it before us.
  const child = spawn(program, settings, { stdio: "ignore", detached: true });
  undertaker.watch(child.pid);
  const ended = once(child, "exit");
  undo.add(async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true });
    undertaker.dismiss();
  });
  const url = `redis://127.0.0.1:${port}`;
  return { url, version: await versionOf(url) };
}

export type RedisClient = Awaited<ReturnType<typeof openRedisClient>>;

/** Opens a client as connect-redis wants it. */
export async function openRedisClient(url: string) {
  const client = createClient({ url });
  client.on("error", (error) => console.error("redis:", error));
  return await client.connect();
}

async function versionOf(url: string): Promise<string> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const client = createClient({ url, socket: { reconnectStrategy: false } });
    client.on("error", () => {});
    try {
      await client.connect();
      const info = await client.info("server");
      client.destroy();
      return /redis_version:(\S+)/.exec(info)?.[1] ?? "";
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
