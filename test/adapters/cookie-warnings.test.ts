import { describe, expect, it, onTestFinished } from "vitest";
import { MemoryStore, SessionManager, type SessionOptions } from "../../src/index.ts";
import type { App } from "../contract/adapter-contract.ts";
import { adapterHosts } from "../contract/adapter-hosts.ts";

const routes: App["routes"] = {
  "/put": (session) => {
    session.set("key", "value");
    return { body: "put" };
  },
  "/logout": async (session) => {
    await session.logout();
    return { body: "bye" };
  },
};

/** The codes of the process's warnings from now on. */
function listen(): string[] {
  const codes: string[] = [];
  const listener = (warning: Error & { code?: string }): void => void codes.push(warning.code ?? warning.name);
  process.on("warning", listener);
  onTestFinished(() => void process.off("warning", listener));
  return codes;
}

describe.each(Object.entries(adapterHosts))("the cookie's warnings on %s", (_name, host) => {
  const https = { "X-Forwarded-Proto": "https" };
  const cases: [string, SessionOptions, Record<string, string>, string[]][] = [
    ["a proxy says https and is not trusted", {}, https, ["PGSTORE_TRUST_PROXY"]],
    ["a Secure cookie goes out over plain HTTP", { cookie: { secure: true } }, {}, ["PGSTORE_SECURE_COOKIE"]],
    ["a prefix demands Secure there", { cookie: { prefix: "__Host-" } }, {}, ["PGSTORE_SECURE_COOKIE"]],
    ["nothing is wrong: plain HTTP", {}, {}, []],
    ["nothing is wrong: a trusted proxy", { trustProxy: true }, https, []],
    ["nothing is wrong: Secure behind a proxy", { cookie: { secure: true } }, https, []],
    ["nothing is wrong: Secure is off", { cookie: { secure: false } }, https, []],
    ["nothing is wrong: there is no cookie", { transport: "header" }, https, []],
  ];
  it("come once for a manager, and only where something is wrong", async () => {
    for (const [name, options, headers, expected] of cases) {
      const manager = new SessionManager(new MemoryStore({ cleanupInterval: 0 }), options);
      const { url, close } = await host.serve({ managers: [manager as never], routes });
      const codes = listen();
      for (const path of ["/nothing", "/logout"]) await (await fetch(url + path, { headers })).text();
      expect(codes, name).toEqual([]);
      for (let round = 0; round < 2; round++) await (await fetch(`${url}/put`, { headers })).text();
      expect(codes, name).toEqual(expected);
      await close();
    }
  });
});
