import { openStore } from "../../postgres/open.ts";
import type { Answer } from "../answer.ts";
import { type CommonOptions, findUrl } from "../connection.ts";
import { serveDemo } from "./serve.ts";
import { EXIT, UsageError } from "../failures.ts";

/** What `demo` takes besides. */
export interface DemoOptions extends CommonOptions {
  port?: string;
  host?: string;
}

/** Serves the demo, and goes on doing so after it has answered. */
export async function demo(options: DemoOptions): Promise<Answer> {
  const port = Number(options.port ?? (process.env["PORT"] || 4000));
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new UsageError("--port or PORT must be a number from 0 to 65535");
  const { table = "sessions", schema } = options;
  const names = schema === undefined ? { table } : { table, schema };
  const served = await serveDemo(
    port,
    options.host ?? "127.0.0.1",
    () => openStore(findUrl(options), names),
    (error) => {
      console.error("pgstore demo:", error);
      process.exitCode = EXIT.problem;
    },
  );
  return { text: `pgstore demo on ${served.url}, sessions in ${served.location}`, json: served, exitCode: EXIT.ok };
}
