import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PgStore, SessionManager } from "../../src/index.ts";
import { nodeHandler } from "../../src/node.ts";
import { createToken, idOf } from "../../src/lib/core/token.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { cookieOf, serve, type Served } from "../support/serve.ts";

let database: TestDatabase;
let app: Served;
let queries: string[];
beforeAll(async () => {
  database = await createDatabase();
  const pool = database.pool();
  const db = {
    query: (text: string, values?: unknown[]) => {
      queries.push(text);
      return pool.query(text, values);
    },
  };
  const manager = new SessionManager<{ n: number }>(new PgStore(db, { cleanupInterval: 0 }));
  app = await serve(
    nodeHandler(manager, (request, response) => {
      const session = manager.sessionOf(request);
      if (request.url === "/inc") session.update("n", (n = 0) => n + 1);
      response.end(`${session.status} ${session.get("n")}`);
    }),
  );
});
afterAll(async () => {
  await app.close();
  await database.drop();
});

/** Sends a Cookie header as it is, bytes and all. */
async function send(cookie: string, path = "/"): Promise<string> {
  queries = [];
  return app.raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${cookie}\r\n\r\n`);
}

describe("a cookie that is no token", () => {
  const malformed: Record<string, string> = {
    empty: "",
    short: "abc",
    "too long": "a".repeat(44),
    "8 KB long": "a".repeat(8192),
    "with %00": `${"a".repeat(40)}%00`,
    "with SQL": "' OR '1'='1' --",
    "SQL of the right length": "'; DROP TABLE sessions; --".padEnd(43, "x"),
    "not ASCII": "ü".repeat(43),
    "in quotes": `"${"a".repeat(43)}"`,
    "with a space": `${"a".repeat(21)} ${"a".repeat(21)}`,
    "standard base64": "a".repeat(42) + "+",
    padded: `${"a".repeat(43)}=`,
    "a path": "../../../../etc/passwd".padEnd(43, "."),
  };
  for (const [name, value] of Object.entries(malformed)) {
    it(`(${name}) is a new empty session and costs no query`, async () => {
      const answer = await send(`Cookie: session=${value}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(answer).toContain("new undefined");
      expect(answer).not.toContain("Set-Cookie");
      expect(queries).toEqual([]);
      if (value.length > 3) expect(answer).not.toContain(value);
    });
  }

  it("(thousands at random) is never an error and never a query", async () => {
    let seed = 1;
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    for (let round = 0; round < 20; round++) {
      const values = Array.from({ length: 100 }, () =>
        String.fromCharCode(...Array.from({ length: random(60) }, () => 0x21 + random(0xdd))).replaceAll(
          /[;\u007f]/g,
          "",
        ),
      ).filter((value) => !/^[\w-]{43}$/.test(value.trim()));
      const answer = await send(`Cookie: ${values.map((value) => `session=${value}`).join("; ")}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(queries).toEqual([]);
    }
  });
});

describe("a cookie that leads nowhere", () => {
  it("(unknown, or the id of a live session) is a new session, which gets a token of its own", async () => {
    const made = await app.get("/inc");
    const token = cookieOf(made)?.slice("session=".length) ?? "";
    for (const presented of [createToken(), idOf(token)]) {
      expect(await send(`Cookie: session=${presented}`)).toContain("new undefined");
      expect(queries).toHaveLength(1);
      const written = await send(`Cookie: session=${presented}`, "/inc");
      const set = /Set-Cookie: session=([\w-]{43});/.exec(written)?.[1];
      expect(set).toBeDefined();
      expect([presented, token]).not.toContain(set);
    }
    expect(await send(`Cookie: session=${token}`)).toContain("unmodified 1");
  });

  it("(more than four of our name) is not looked up at all, and hides a live one too", async () => {
    const cookies = Array.from({ length: 50 }, () => `session=${createToken()}`);
    const live = cookieOf(await app.get("/inc")) ?? "";
    for (const header of [cookies.join("; "), `${live}; ${cookies.slice(0, 4).join("; ")}`]) {
      expect(await send(`Cookie: ${header}`)).toContain("new undefined");
      expect(queries).toEqual([]);
    }
    expect(await send(`Cookie: ${live}; ${cookies.slice(0, 3).join("; ")}`)).toContain("unmodified 1");
  });

  it("(many of our name) ends with the session that is begun in their place", async () => {
    const cookies = await Promise.all(Array.from({ length: 6 }, async () => cookieOf(await app.get("/inc")) ?? ""));
    expect(await send(`Cookie: ${cookies.join("; ")}`, "/inc")).toContain("modified 1");
    for (const cookie of cookies) expect(await send(`Cookie: ${cookie}`)).toContain("new undefined");
  });

  it("(planted beside the live one) does not hide it, wherever it stands; two live ones are none", async () => {
    const [token = "", other = ""] = [cookieOf(await app.get("/inc")), cookieOf(await app.get("/inc"))];
    const planted = `session=${createToken()}`;
    for (const header of [`${planted}; ${token}`, `${token}; ${planted}`, `${planted}; ${token}; ${token}`]) {
      expect(await send(`Cookie: ${header}`)).toContain("unmodified 1");
    }
    const ambiguous = await send(`Cookie: ${token}; ${other}`);
    expect(ambiguous).toContain("new undefined");
    expect(ambiguous).not.toContain("Set-Cookie");
  });
});

describe("a live cookie", () => {
  it("is found behind malformed and dead ones, in several headers, and in one of nearly 16 KB", async () => {
    const cookie = cookieOf(await app.get("/inc")) ?? "";
    expect(await send(`Cookie: session=bad; session=${createToken()}; ${cookie}`)).toContain("unmodified 1");
    expect(await send(`Cookie: a=b\r\nCookie: ${cookie}\r\nCookie: c=d`)).toContain("unmodified 1");
    const padding = `x=${"y".repeat(15_000)}`;
    expect(await send(`Cookie: ${padding}; ${cookie}`)).toContain("unmodified 1");
    expect(queries).toHaveLength(1);
  });

  it("works only as a cookie of our name", async () => {
    const cookie = cookieOf(await app.get("/inc")) ?? "";
    const token = cookie.slice("session=".length);
    for (const header of [
      `Cookie: \u00a0${cookie}`,
      `Cookie: a=b; \u00a0${cookie}`,
      `Cookie: session\u00a0=${token}`,
      `Cookie: \u0085${cookie}`,
      `Cookie: other=${token}`,
      `Authorization: Bearer ${token}`,
      `X-Session: ${token}`,
      `Cookie: %73${cookie.slice(1)}`,
    ]) {
      expect(await send(header, `/?session=${token}`)).toContain("new undefined");
      expect(queries).toEqual([]);
    }
  });
});

describe("visits that store nothing", () => {
  it("make no row and get no cookie", async () => {
    await database.pool().query("DELETE FROM sessions");
    const responses = await Promise.all(Array.from({ length: 200 }, () => app.get("/")));
    expect(responses.flatMap((response) => response.headers.getSetCookie())).toEqual([]);
    expect((await database.pool().query("SELECT 1 FROM sessions")).rowCount).toBe(0);
  });
});
