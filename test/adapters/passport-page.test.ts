import { transform } from "esbuild";
import express from "express";
import passport from "passport";
import * as passportLocal from "passport-local";
import { describe, expect, it } from "vitest";
import * as pgstoreExpress from "../../src/express.ts";
import * as pgstore from "../../src/index.ts";
import type { NodeListener } from "../../src/node.ts";
import { example } from "../support/pages.ts";
import { cookieOf, serving } from "../support/serve.ts";

const modules: Record<string, unknown> = {
  express: { default: express },
  passport: { default: passport },
  "passport-local": passportLocal,
  pgstore,
  "pgstore/express": pgstoreExpress,
};

/** Runs an example of the page, and returns its `app`. */
async function run(name: string): Promise<NodeListener> {
  const { code } = await transform(example("docs/passport.md", name).code, {
    loader: "ts",
    format: "esm",
    target: "node20",
  });
  const body = code.replace(/^import\s+(\w+|\{[^}]*\})\s+from\s+"([^"]+)";$/gm, (_, bound: string, id: string) =>
    bound.startsWith("{") ? `const ${bound} = require("${id}");` : `const ${bound} = require("${id}").default;`,
  );
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<NodeListener>;
  return new AsyncFunction("require", `${body}\nreturn app;`)((id: string) => modules[id]);
}

// The examples with koa-passport and @fastify/passport run in test/apps.
describe("docs/passport.md", () => {
  it("shows Passport in Express", async () => {
    await serving(await run("express"), async ({ url, get }) => {
      const text = async (cookie?: string): Promise<string> => (await get("/", cookie)).text();
      expect(await text()).toBe("Hello stranger");
      const post = (path: string, body: Record<string, string>, cookie = ""): Promise<Response> =>
        fetch(url + path, { method: "POST", body: new URLSearchParams(body), redirect: "manual", headers: { cookie } });
      const cookie = cookieOf(await post("/login", { username: "ada", password: "secret" }));
      expect(await text(cookie)).toBe("Hello ada");
      expect((await post("/logout", {}, cookie)).status).toBe(302);
      expect(await text(cookie)).toBe("Hello stranger");
    });
  });
});
