import { isPGlite } from "./pglite.ts";

/** The members of pg and postgres.js that say where their database is. */
interface Located {
  host?: unknown;
  options?: { host?: unknown };
  Client?: new (options: object) => { host?: unknown };
}

/** Returns the host of a client's database. Undefined: the client doesn't say. Never a user or a password. */
export function hostOf(client: unknown): string | undefined {
  const { host, options, Client } = client as Located;
  if (typeof host === "string") return host;
  // postgres.js may have several hosts.
  const hosts = options?.host;
  if (Array.isArray(hosts)) return hosts.filter((one) => typeof one === "string").join(", ") || undefined;
  if (isPGlite(client as object)) return "PGlite";
  if (typeof Client !== "function" || options === undefined) return undefined;
  try {
    // Only a pg.Client can read the pool's connection string. Creating one connects to nothing.
    const resolved = new Client(options).host;
    return typeof resolved === "string" ? resolved : undefined;
  } catch {
    return undefined;
  }
}
