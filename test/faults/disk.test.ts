import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { StoreUnavailableError } from "../../src/index.ts";
import { cookieOf } from "../support/serve.ts";
import { ask, startServer } from "./server.ts";
import { driverNames, openClient, startApp } from "./support.ts";

const soon = (): Date => new Date(Date.now() + 60_000);

const canMount = process.getuid?.() === 0 && process.platform === "linux";
if (!canMount) console.warn("Only root can mount a small disk, so the test of a full one is skipped");

describe.skipIf(!canMount).each(driverNames)("a full disk, with %s", (driver) => {
  it("fails writes in time, leaves reads alone, and is forgotten when there is room again", async () => {
    const server = await startServer();
    const disk = mkdtempSync(join(tmpdir(), "pgstore-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs", disk]);
    onTestFinished(() => {
      execFileSync("umount", ["-l", disk]);
      rmSync(disk, { recursive: true, force: true });
    });
    const space = join(disk, "space");
    execFileSync("install", ["-d", "-o", "nobody", "-m", "700", space]);
    await ask(server, `CREATE TABLESPACE small LOCATION '${space}'`);
    await ask(server, "ALTER TABLE sessions SET TABLESPACE small");
    const app = await startApp(openClient(driver, server.url));
    const cookie = cookieOf(await app.get("/inc"));
    const large = randomBytes(1_000_000);
    let failure: unknown;
    for (let n = 0; n < 30 && failure === undefined; n++) {
      failure = await app.store.save(`large ${n}`, large, soon()).then(
        () => undefined,
        (error: unknown) => error,
      );
    }
    expect(failure).toBeInstanceOf(StoreUnavailableError);
    expect(String(failure)).toContain("53100");
    expect(await (await app.get("/get", cookie)).json()).toMatchObject({ n: 1 });
    execFileSync("mount", ["-o", "remount,size=64m", disk]);
    await app.recovered();
  });
});
