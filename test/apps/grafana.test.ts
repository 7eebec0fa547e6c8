import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { onNode, startExample } from "../package/example-process.ts";
import { pack, type Packed } from "../package/tarball.ts";
import { createDatabase } from "../support/database.ts";
import { freePort } from "../support/free-port.ts";
import { environment } from "../support/undertaker.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const PROMETHEUS = "/usr/bin/prometheus";
const isThere = existsSync(PROMETHEUS);
if (!isThere)
  console.warn("There is no Prometheus here, so its test is skipped; on Debian: apt-get install prometheus");

interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[];
}

const { panels } = JSON.parse(readFileSync(join(root, "examples/grafana/dashboard.json"), "utf8")) as Dashboard;
const queries = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));

let packed: Packed;
beforeAll(async () => {
  packed = await pack();
  cpSync(join(root, "examples/prometheus.ts"), join(packed.full, "prometheus.ts"));
  writeFileSync(join(packed.full, "package.json"), JSON.stringify({ private: true, type: "module" }));
});
afterAll(() => packed?.remove());

/** Starts a Prometheus that scrapes an address each second, with its data in a folder. */
function startPrometheus(folder: string, target: string, port: number): ChildProcess {
  const config = join(folder, "prometheus.yml");
  writeFileSync(
    config,
    `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs: [{ job_name: app, static_configs: [{ targets: ["${target}"] }] }]
`,
  );
  const flags = {
    "config.file": config,
    "storage.tsdb.path": join(folder, "data"),
    "web.listen-address": `127.0.0.1:${port}`,
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  return spawn(PROMETHEUS, args, { env: environment(), stdio: "ignore" });
}

describe("examples/grafana", () => {
  it.skipIf(!isThere)(
    "has a query for each panel that Prometheus answers with the example's metrics",
    async ({ onTestFinished }) => {
      const database = await createDatabase({ template: false });
      onTestFinished(() => database.drop());
      const app = await startExample(onNode(packed.full, "prometheus.ts"), database.url, onTestFinished);
      const folder = mkdtempSync(join(tmpdir(), "pgstore-prometheus-"));
      const port = await freePort();
      const prometheus = startPrometheus(folder, new URL(app.url).host, port);
      const ended = once(prometheus, "close");
      onTestFinished(async () => {
        prometheus.kill("SIGKILL");
        await ended;
        rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
      });
      const login = await fetch(`${app.url}/login`, {
        method: "POST",
        body: new URLSearchParams({ user: "ada" }),
        redirect: "manual",
      });
      const cookie = login.headers.getSetCookie()[0]?.split(";")[0] ?? "";
      const use = async (): Promise<void> => {
        const note = new URLSearchParams({ note: "a" });
        await fetch(`${app.url}/notes`, { method: "POST", headers: { cookie }, body: note, redirect: "manual" });
        await (await fetch(app.url, { headers: { cookie } })).text();
      };
      /** The series of a query, and their values. */
      const ask = async (expr: string): Promise<number[]> => {
        const query = expr.replaceAll("$__rate_interval", "1m");
        const response = await fetch(
          `http://127.0.0.1:${port}/api/v1/query?${new URLSearchParams({ query }).toString()}`,
        );
        const { status, data, error } = (await response.json()) as {
          status: string;
          data?: { result: { value: [number, string] }[] };
          error?: string;
        };
        expect([status, error], expr).toEqual(["success", undefined]);
        return (data?.result ?? []).map(({ value }) => Number(value[1]));
      };
      // A rate needs two scrapes with work between them.
      await expect
        .poll(
          async () => {
            await use();
            return (await ask(queries[0]?.expr ?? "").catch(() => [])).some((value) => value > 0);
          },
          { timeout: 60_000, interval: 500 },
        )
        .toBe(true);
      for (const { title, expr } of queries) {
        const values = await ask(expr);
        expect(values.length, `${title}: ${expr}`).toBeGreaterThan(0);
        if (!expr.includes("or vector(0)"))
          expect(
            values.some((value) => value > 0),
            `${title}: ${expr}`,
          ).toBe(true);
      }
      // The others count what did not happen here. Their names must still be those of the source.
      const source = readFileSync(join(root, "src/lib/otel/metrics.ts"), "utf8");
      for (const { expr } of queries) {
        for (const [, name = ""] of expr.matchAll(/\b(pgstore_[a-z_]+?)(?:_(?:bucket|count|sum|total))?\[/g)) {
          expect(source).toContain(`"${name.replaceAll("_", ".")}"`);
        }
      }
    },
  );
});
