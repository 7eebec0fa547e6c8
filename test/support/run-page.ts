import { Server, type AddressInfo } from "node:net";
import { transform } from "esbuild";
import pg from "pg";
import { expect, vi } from "vitest";
import type { Block } from "./pages.ts";

const AsyncFunction = (async () => {}).constructor as new (
  ...args: string[]
) => (...args: unknown[]) => Promise<Record<string, unknown>>;

/**
 * Runs blocks of pages unchanged. `pgstore` resolves to the sources, each port becomes a free one of loopback, and
 * `close` ends the pools.
 */
export class PageRunner {
  readonly #servers: Server[] = [];
  readonly #pools: pg.Pool[] = [];
  readonly #modules: Record<string, object>;

  constructor(databaseUrl: string) {
    vi.stubEnv("DATABASE_URL", databaseUrl);
    const pools = this.#pools;
    class Pool extends pg.Pool {
      constructor(config: pg.PoolConfig) {
        super({ connectionString: databaseUrl, ...config });
        pools.push(this);
      }
    }
    this.#modules = { pg: { default: { Pool } } };
    this.#replaceListen();
  }

  #replaceListen(): void {
    const listen = Server.prototype.listen as (...args: unknown[]) => Server;
    const servers = this.#servers;
    vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...args: unknown[]) {
      servers.push(this);
      const callback = args.find((argument) => typeof argument === "function");
      return listen.call(this, 0, "127.0.0.1", ...(callback === undefined ? [] : [callback]));
    });
  }

  /**
   * Runs a block.
   *
   * @param block - the code
   * @param returns - names that the code defines, to give back
   * @param scope - what the page takes as given, by name
   */
  async run(
    block: Block,
    returns: readonly string[] = [],
    scope: Record<string, unknown> = {},
  ): Promise<Record<string, unknown>> {
    const { code } = await transform(block.code, { loader: "ts", format: "esm", target: "node20" });
    const body = code
      .replace(
        /^import (\w+), (\{[^}]*\}) from ("[^"]+");$/gm,
        "const $1 = (await load($3)).default, $2 = await load($3);",
      )
      .replace(/^import \* as (\w+) from ("[^"]+");$/gm, "const $1 = await load($2);")
      .replace(/^import (\w+) from ("[^"]+");$/gm, "const $1 = (await load($2)).default;")
      .replace(/^import (\{[^}]*\}) from ("[^"]+");$/gm, (_, names: string, id: string) => {
        return `const ${names.replaceAll(" as ", ": ")} = await load(${id});`;
      })
      .replace(/^export default /gm, "const exported = ")
      .replace(/^export (?=const|class|function|async)/gm, "")
      .replace(/^export \{[^}]*\};$/gm, "");
    expect(body, `an import of ${block.page} is not understood`).not.toMatch(/^import /m);
    const load = async (id: string): Promise<unknown> => this.#modules[id] ?? (await import(/* @vite-ignore */ id));
    const names = { ...scope, load };
    const run = new AsyncFunction(...Object.keys(names), `${body}\nreturn { ${returns.join(", ")} };`);
    return await run(...Object.values(names));
  }

  /** The address of the latest server. */
  async url(): Promise<string> {
    await expect.poll(() => this.#servers.at(-1)?.listening).toBe(true);
    const address = this.#servers.at(-1)?.address() as AddressInfo | undefined;
    return `http://127.0.0.1:${address?.port}`;
  }

  /** Ends the servers and pools. */
  async close(): Promise<void> {
    for (const server of this.#servers) {
      if (!server.listening) continue;
      server.close();
      if ("closeAllConnections" in server) (server.closeAllConnections as () => void)();
    }
    await Promise.all(this.#pools.filter(({ ended }) => !ended).map((pool) => pool.end()));
  }
}

/** A browser with one cookie. Redirects are not followed. */
export class Browser {
  readonly #url: string;
  #cookie: string | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  /** The cookie that it holds, as a request sends it. */
  get cookie(): string | undefined {
    return this.#cookie;
  }

  /** Replaces the cookie: "session=…". */
  use(cookie: string): void {
    this.#cookie = cookie;
  }

  async get(path: string): Promise<Response> {
    return await this.#send(path, {});
  }

  async post(path: string, fields?: Record<string, string>): Promise<Response> {
    return await this.#send(path, { method: "POST", ...(fields && { body: new URLSearchParams(fields) }) });
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const headers = this.#cookie === undefined ? {} : { cookie: this.#cookie };
    const response = await fetch(this.#url + path, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      this.#cookie = pair.endsWith("=") ? undefined : pair;
    }
    return response;
  }
}
