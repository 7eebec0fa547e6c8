import { createHash, randomBytes } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodeListener } from "../../src/node.ts";
import { startExample } from "../package/example-process.ts";
import { pack, type Packed, run } from "../package/tarball.ts";
import { createDatabase } from "../support/database.ts";
import { serve } from "../support/serve.ts";
import { environment } from "../support/undertaker.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

let packed: Packed;
let folder: string;
beforeAll(async () => {
  packed = await pack();
  folder = join(dirname(packed.tarball), "oauth");
  cpSync(join(root, "examples/oauth"), folder, { recursive: true });
  const file = join(folder, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as { dependencies: Record<string, string> };
  manifest.dependencies["pgstore"] = `file:${packed.tarball}`;
  writeFileSync(file, JSON.stringify(manifest));
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund"], folder, environment());
});
afterAll(() => packed?.remove());

/** A provider that logs everybody in as ada: it checks the client, the challenge, and that a code is used once. */
function provider(): NodeListener {
  const codes = new Map<string, { challenge: string; redirect: string }>();
  const tokens = new Set<string>();
  return async (request, response) => {
    const url = new URL(request.url ?? "", "http://provider");
    const { searchParams: query } = url;
    if (url.pathname === "/authorize") {
      const [code, redirect] = [randomBytes(16).toString("hex"), new URL(query.get("redirect_uri") ?? "")];
      expect([query.get("response_type"), query.get("code_challenge_method")]).toEqual(["code", "S256"]);
      codes.set(code, { challenge: query.get("code_challenge") ?? "", redirect: redirect.href });
      redirect.search = new URLSearchParams({ code, state: query.get("state") ?? "" }).toString();
      response.writeHead(302, { location: redirect.href }).end();
      return;
    }
    if (url.pathname === "/token") {
      const body = new URLSearchParams((await request.toArray()).join(""));
      const known = codes.get(body.get("code") ?? "");
      codes.delete(body.get("code") ?? "");
      const challenge = createHash("sha256")
        .update(body.get("code_verifier") ?? "")
        .digest("base64url");
      const isClient = request.headers.authorization === `Basic ${btoa("the client:its secret")}`;
      const isRight = isClient && known?.challenge === challenge && known.redirect === body.get("redirect_uri");
      const token = randomBytes(16).toString("hex");
      if (isRight) tokens.add(`Bearer ${token}`);
      const answer = isRight ? { access_token: token, token_type: "bearer" } : { error: "invalid_grant" };
      response.writeHead(isRight ? 200 : 400, { "content-type": "application/json" }).end(JSON.stringify(answer));
      return;
    }
    const isKnown = tokens.has(request.headers.authorization ?? "");
    response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
    response.end(JSON.stringify({ id: 7, login: "ada" }));
  };
}

describe("examples/oauth", () => {
  it("logs in by a provider, once, and only the browser that has begun", async ({ onTestFinished }) => {
    const database = await createDatabase({ template: false });
    onTestFinished(() => database.drop());
    const { url: theirs, close } = await serve(provider());
    onTestFinished(close);
    const env = (origin: string): Record<string, string> => ({
      ORIGIN: origin,
      OAUTH_ID: "the client",
      OAUTH_SECRET: "its secret",
      OAUTH_AUTHORIZE: `${theirs}/authorize`,
      OAUTH_TOKEN: `${theirs}/token`,
      OAUTH_USER: `${theirs}/user`,
    });
    const program = { folder, command: process.execPath, args: ["server.js"], env };
    const { url, stop, ended } = await startExample(program, database.url, onTestFinished);
    const go = async (path: string, cookie = "", method = "GET") => {
      const response = await fetch(new URL(path, url), { method, redirect: "manual", headers: { cookie } });
      const set = response.headers.getSetCookie()[0]?.split(";", 1)[0];
      return { status: response.status, to: response.headers.get("location") ?? "", set, text: await response.text() };
    };

    const begun = await go("/login");
    expect(begun.to).toContain(`${theirs}/authorize?`);
    const { to: callback } = await go(begun.to);
    expect(callback).toContain(`${url}/login/callback?`);
    // Somebody else's browser follows the link.
    const planted = await go(callback, (await go("/login")).set);
    expect([planted.status, planted.set]).toEqual([400, undefined]);
    expect((await go(callback)).status).toBe(400);

    const done = await go(callback, begun.set);
    expect([done.status, done.to]).toEqual([303, "/"]);
    expect(done.set).not.toBe(begun.set);
    expect(JSON.parse((await go("/", done.set)).text)).toEqual({ user: "github:7", name: "ada" });
    expect(JSON.parse((await go("/", begun.set)).text)).toEqual({});
    // The same callback once more.
    expect((await go(callback, done.set)).status).toBe(400);
    expect(JSON.parse((await go("/", done.set)).text)).toEqual({ user: "github:7", name: "ada" });

    expect((await go("/logout", done.set, "POST")).status).toBe(303);
    expect(JSON.parse((await go("/", done.set)).text)).toEqual({});
    await stop();
    expect(await ended()).toEqual({ code: 0, errors: "" });
  });
});
