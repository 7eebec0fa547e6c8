import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type Koa from "koa";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeListener } from "../../src/node.ts";
import {
  describePassport,
  fastifyApp,
  type FastifyPassport,
  koaApp,
  type KoaPassport,
} from "../adapters/passport-apps.ts";
import { pack, type Packed, run } from "../package/tarball.ts";
import { example } from "../support/pages.ts";
import { cookieOf, serving } from "../support/serve.ts";
import { environment } from "../support/undertaker.ts";

const PACKAGES = ["koa@3", "koa-passport@6", "fastify@5", "@fastify/passport@4"];

let packed: Packed;
let folder: string;
beforeAll(async () => {
  packed = await pack();
  folder = join(dirname(packed.tarball), "passport");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  const npm = ["install", "--prefer-offline", "--no-audit", "--no-fund", packed.tarball, ...PACKAGES];
  await run("npm", npm, folder, environment());
});
afterAll(() => packed?.remove());

/** Loads a package that was installed above. */
function load<T>(name: string): T {
  return createRequire(join(folder, "package.json"))(name) as T;
}

describePassport("koa-passport", (setup) => {
  const { KoaPassport: Passport } = load<{ KoaPassport: new () => KoaPassport }>("koa-passport");
  return koaApp(new Passport(), setup);
});

describePassport("@fastify/passport", (setup) => {
  const { Authenticator } = load<{ Authenticator: new () => FastifyPassport }>("@fastify/passport");
  return fastifyApp(new Authenticator(), setup);
});

describe("docs/passport.md", () => {
  /** Imports an example of the page as a user's module, and returns its `app`. */
  async function appOf<T>(name: string): Promise<T> {
    const file = join(folder, `${name}.js`);
    writeFileSync(file, `${example("docs/passport.md", name).code}\nexport { app };\n`);
    return ((await import(/* @vite-ignore */ pathToFileURL(file).href)) as { app: T }).app;
  }

  async function logInAndOut(listener: NodeListener): Promise<void> {
    await serving(listener, async ({ get }) => {
      expect(await (await get("/")).text()).toBe("Hello stranger");
      const cookie = cookieOf(await get("/login"));
      expect(await (await get("/", cookie)).text()).toBe("Hello ada");
      expect((await get("/logout", cookie)).status).toBe(200);
      expect(await (await get("/", cookie)).text()).toBe("Hello stranger");
    });
  }

  it("shows koa-passport", async () => {
    await logInAndOut((await appOf<Koa>("koa")).callback());
  });

  it("shows @fastify/passport", async () => {
    const app = await appOf<FastifyInstance>("fastify");
    await app.ready();
    await logInAndOut((request, response) => app.server.emit("request", request, response));
  });
});
