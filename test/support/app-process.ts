import { type ChildProcess, fork } from "node:child_process";
import { bundleOf } from "./bundle.ts";

/** The answer of the application in test/races/app.ts to a request. */
export interface Answer {
  status: number;
  /** The `name=value` of the response's only Set-Cookie. Undefined without one. */
  cookie: string | undefined;
  setCookies: string[];
  session: { status: string; userId?: string; values: Record<string, unknown> };
}

/** The application in a process of its own. */
export class AppProcess {
  readonly #child: ChildProcess;
  readonly #port: number;
  #arrived = 0;
  #waiting: { count: number; resolve: () => void } | undefined;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
    child.on("message", (message) => {
      if (message !== "arrived") return;
      this.#arrived++;
      if (this.#waiting !== undefined && this.#arrived >= this.#waiting.count) this.#waiting.resolve();
    });
  }

  static async start(databaseUrl: string, env: Record<string, string> = {}): Promise<AppProcess> {
    const child = fork(await bundleOf(new URL("../races/app.ts", import.meta.url)), {
      env: { ...process.env, APP_DATABASE_URL: databaseUrl, ...env },
    });
    const port = await new Promise<number>((resolve, reject) => {
      child.once("message", (message) => resolve((message as { port: number }).port));
      child.once("exit", (code) => reject(new Error(`the application ended with code ${code}`)));
    });
    return new AppProcess(child, port);
  }

  /** Sends a request. With `hold`, the application stops it between load and change until `go`. */
  async request(
    action: string,
    options: { key?: string; cookie?: string | undefined; hold?: boolean } = {},
  ): Promise<Answer> {
    const query = new URLSearchParams({ key: options.key ?? "", ...(options.hold === true ? { hold: "1" } : {}) });
    const headers = options.cookie === undefined ? {} : { cookie: options.cookie };
    const response = await fetch(`http://127.0.0.1:${this.#port}/${action}?${query.toString()}`, { headers });
    const setCookies = response.headers.getSetCookie();
    const text = await response.text();
    const session = response.ok ? (JSON.parse(text) as Answer["session"]) : { status: text, values: {} };
    return { status: response.status, cookie: setCookies[0]?.split(";")[0], setCookies, session };
  }

  /** Resolves when this many held requests have loaded their session. */
  arrived(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#arrived >= count) resolve();
      else this.#waiting = { count, resolve };
    });
  }

  /** Lets the held requests go on, all at once. */
  go(): void {
    this.#arrived = 0;
    this.#waiting = undefined;
    this.#child.send("go");
  }

  stop(): void {
    this.#child.disconnect();
  }
}
