import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MemoryStore, StoreUnavailableError } from "../../src/index.ts";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createDemo } from "../../src/lib/cli/demo/app.ts";
import { html } from "../../src/lib/dashboard/pages/html.ts";
import { deferred } from "../support/barrier.ts";
import { serve } from "../support/serve.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A browser as far as the demo can tell: keeps the cookie, follows redirects. */
class Browser {
  cookie: string;
  /** Of the last page's forms. */
  csrfToken = "";
  readonly #url: string;

  constructor(url: string, cookie = "") {
    this.#url = url;
    this.cookie = cookie;
  }

  async get(path = "/"): Promise<string> {
    const response = await this.#fetch(path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    const page = await response.text();
    this.csrfToken = /name="_csrf" value="([^"]+)"/.exec(page)?.[1] ?? "";
    return page;
  }

  async post(path: string, fields: Record<string, string> = {}): Promise<string> {
    if (this.csrfToken === "") await this.get();
    const response = await this.#fetch(path, { _csrf: this.csrfToken, ...fields });
    expect(response.status).toBe(303);
    return this.get(response.headers.get("location") ?? "");
  }

  async #fetch(path: string, fields?: Record<string, string>): Promise<Response> {
    const response = await fetch(this.#url + path, {
      redirect: "manual",
      headers: { cookie: this.cookie, origin: this.#url, "sec-fetch-site": "same-origin" },
      ...(fields && { method: "POST", body: new URLSearchParams(fields) }),
    });
    const [given] = response.headers.getSetCookie();
    if (given !== undefined) this.cookie = /max-age=0/i.test(given) ? "" : (given.split(";", 1)[0] ?? "");
    return response;
  }
}

async function demo(store: MemoryStore): Promise<{ url: string; close: () => Promise<void> }> {
  const served = await serve(createDemo(store).listener);
  onTestFinished(() => served.close());
  return served;
}

describe("demo", () => {
  afterEach(() => vi.restoreAllMocks());

  it("keeps a note through login, restart and a new token, and shows each message once", async () => {
    const store = new MemoryStore();
    const first = await demo(store);
    const browser = new Browser(first.url);
    expect(await browser.get()).toContain("nobody is logged in");
    expect(await browser.post("/notes", { note: "  Buy\n milk " })).toContain("<span>Buy milk</span>");
    const anonymous = browser.cookie;

    expect(await browser.post("/login", { name: "Ada" })).toContain("Welcome, Ada. Your token was renewed.");
    expect(browser.cookie).not.toBe(anonymous);
    const again = await browser.get();
    expect(again).not.toContain("Welcome");
    expect(again).toContain("Page 4 of this session.");
    await first.close();

    const second = await demo(store);
    const returned = new Browser(second.url, browser.cookie);
    const page = await returned.get();
    expect(page).toContain("Hello, Ada");
    expect(page).toContain("Buy milk");

    expect(await returned.post("/token")).toContain("You have a new token.");
    expect(await returned.get()).toContain("Buy milk");
    const stale = await new Browser(second.url, browser.cookie).get();
    expect(stale).toContain("nobody is logged in");
    expect(stale).not.toContain("Buy milk");

    const after = await returned.post("/logout");
    expect(after).toContain("You are logged out.");
    expect(after).not.toContain("Buy milk");
  });

  it("ends a session with its cookie, and begins no other by itself", async () => {
    const store = new MemoryStore();
    const browser = new Browser((await demo(store)).url);
    await browser.post("/notes", { note: "Gone soon" });
    expect(await browser.post("/destroy")).toContain("You have no session");
    expect(browser.cookie).toBe("");
    expect((await store.all().next()).done).toBe(true);
  });

  it("makes the cookie persistent when it is to remember", async () => {
    const { url } = await demo(new MemoryStore());
    const browser = new Browser(url);
    await browser.get();
    const response = await fetch(`${url}/login`, {
      method: "POST",
      redirect: "manual",
      headers: { cookie: browser.cookie },
      body: new URLSearchParams({ name: "Ada", remember: "on", _csrf: browser.csrfToken }),
    });
    expect(response.headers.getSetCookie()[0]).toMatch(/Max-Age=\d/);
    browser.cookie = response.headers.getSetCookie()[0]?.split(";", 1)[0] ?? "";
    expect(await browser.get()).toContain("<dd>persistent");
  });

  it("has each button and field in a form that carries the CSRF token", async () => {
    const browser = new Browser((await demo(new MemoryStore())).url);
    for (const page of [
      await browser.get(),
      await browser.post("/notes", { note: "One" }),
      await browser.post("/login", { name: "Ada" }),
    ]) {
      const forms = page.match(/<form\b[\s\S]*?<\/form>/g) ?? [];
      expect(forms.length).toBeGreaterThan(3);
      for (const form of forms) {
        expect(form).toContain(`name="_csrf" value="${/name="_csrf" value="([^"]+)"/.exec(page)?.[1]}"`);
        expect(form).toContain("<button");
      }
      expect(page.replaceAll(/<form\b[\s\S]*?<\/form>/g, "")).not.toMatch(/<button|<input/);
    }
  });

  it("never shows a token", async () => {
    const browser = new Browser((await demo(new MemoryStore())).url);
    await browser.get();
    await browser.post("/login", { name: "Ada" });
    expect(await browser.get()).not.toContain(browser.cookie.replace("session=", ""));
  });

  it("escapes what users write", async () => {
    const browser = new Browser((await demo(new MemoryStore())).url);
    const page = await browser.post("/notes", { note: `<script>alert("1")</script>` });
    expect(page).not.toContain("<script>");
    expect(page).toContain("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
    expect(html`<p title="${`"'&`}">${"<b>"}</p>`.markup).toBe(`<p title="&quot;&#39;&amp;">&lt;b&gt;</p>`);
    expect(await browser.post("/login", { name: "<i>Eve</i>" })).toContain("Hello, &lt;i&gt;Eve&lt;/i&gt;");
  });

  it("limits names and notes", async () => {
    const browser = new Browser((await demo(new MemoryStore())).url);
    expect(await browser.post("/login", { name: " " })).toContain("A name has 1 to 40 characters.");
    expect(await browser.post("/login", { name: "a".repeat(41) })).toContain("nobody is logged in");
    expect(await browser.post("/notes", { note: "n".repeat(201) })).toContain("A note has 1 to 200 characters.");
    for (let count = 1; count <= 20; count += 1) await browser.post("/notes", { note: `Note ${count}` });
    expect(await browser.post("/notes", { note: "One more" })).toContain("There is room for 20 notes.");
    const page = await browser.post("/notes/remove", { note: "Note 7" });
    expect(await browser.post("/notes/remove", { note: "Note 7" })).toContain("That note is gone already.");
    expect(await browser.post("/notes", { note: " " })).toContain("A note has 1 to 200 characters.");
    expect(page).toContain("19 of 20");
    expect(page).not.toContain("<span>Note 7</span>");
  });

  it.each([
    ["Sec-Fetch-Site", { "sec-fetch-site": "cross-site" }],
    ["Origin", { origin: "https://evil.example" }],
    ["an opaque origin", { origin: "null" }],
  ])("refuses posts of other sites, told by %s", async (_, headers) => {
    const { url } = await demo(new MemoryStore());
    const browser = new Browser(url);
    await browser.get();
    const body = new URLSearchParams({ name: "Eve", _csrf: browser.csrfToken });
    const init = { method: "POST", redirect: "manual", headers: { ...headers, cookie: browser.cookie }, body } as const;
    const response = await fetch(`${url}/login`, init);
    expect(response.status).toBe(403);
    expect(response.headers.getSetCookie()).toEqual([]);
    expect(await browser.get()).toContain("nobody is logged in");
  });

  it("refuses forms without the session's token, with another's, and from before a new one", async () => {
    const { url } = await demo(new MemoryStore());
    const [ada, eve] = [new Browser(url), new Browser(url)];
    await Promise.all([ada.get(), eve.get()]);
    const refused = async (_csrf: string): Promise<void> => {
      const body = new URLSearchParams({ name: "Eve", ...(_csrf === "" ? {} : { _csrf }) });
      const init = { method: "POST", redirect: "manual", headers: { cookie: ada.cookie }, body } as const;
      const response = await fetch(`${url}/login`, init);
      expect(response.status).toBe(403);
      expect(await response.text()).toContain("did not come from this page");
    };
    await refused("");
    await refused(eve.csrfToken);
    const { csrfToken } = ada;
    await ada.post("/login", { name: "Ada" });
    await refused(csrfToken);
    expect(await ada.get()).toContain("Hello, Ada");
  });

  it("refuses bodies over 10 KB and unknown paths", async () => {
    const { url } = await demo(new MemoryStore());
    const body = new URLSearchParams({ note: "x".repeat(10 * 1024) });
    expect((await fetch(`${url}/notes`, { method: "POST", body })).status).toBe(413);
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
    expect((await fetch(`${url}/login`)).status).toBe(404);
    expect((await fetch(`${url}/style.css`)).headers.get("content-type")).toContain("text/css");
    expect((await fetch(`${url}/demo.js`)).headers.get("content-type")).toContain("text/javascript");
  });

  it("lists a user's browsers, revokes one of them, and none of somebody else", async () => {
    const { url } = await demo(new MemoryStore());
    const [one, two, eve] = [new Browser(url), new Browser(url), new Browser(url)];
    await one.post("/login", { name: "Ada" });
    await two.post("/login", { name: "Ada" });
    await eve.post("/login", { name: "Eve" });
    const page = await one.get();
    const ids = [...page.matchAll(/name="id" value="([^"]+)"/g)].map(([, id = ""]) => id);
    expect(ids).toHaveLength(1);
    expect(page.match(/>this one</g)).toHaveLength(1);
    expect(await eve.post("/revoke", { id: ids[0] ?? "" })).toContain("That session was over already.");
    expect(await two.get()).toContain("Hello, Ada");
    expect(await one.post("/revoke", { id: ids[0] ?? "" })).toContain("Revoked. That browser has just been told.");
    expect(await two.get()).toContain("nobody is logged in");
    expect(await one.get()).toContain("Hello, Ada");
    expect(await eve.get()).toContain("Hello, Eve");
  });

  it("logs out the other browsers, and everywhere", async () => {
    const { url } = await demo(new MemoryStore());
    const browsers = [new Browser(url), new Browser(url), new Browser(url)] as const;
    const [one, two, three] = browsers;
    for (const browser of browsers) await browser.post("/login", { name: "Ada" });
    expect(await one.post("/logout/others")).toContain("Other browsers logged out: 2.");
    expect(await one.post("/logout/others")).toContain("There was no other browser.");
    expect(await two.get()).toContain("nobody is logged in");
    await three.get();
    await three.post("/login", { name: "Ada" });
    expect(await one.post("/logout/everywhere")).toContain("You are logged out everywhere. Browsers: 2.");
    for (const browser of browsers) expect(await browser.get()).toContain("nobody is logged in");
    for (const path of ["/logout/others", "/logout/everywhere", "/revoke"]) {
      expect(await one.post(path)).toContain("Log in first.");
    }
  });

  it("shows the dashboard to whoever is logged in", async () => {
    const { url } = await demo(new MemoryStore());
    const browser = new Browser(url);
    const visit = () => fetch(`${url}/dashboard/`, { headers: { cookie: browser.cookie }, redirect: "manual" });
    expect((await visit()).status).toBe(303);
    await browser.post("/login", { name: "Ada" });
    const response = await visit();
    expect([response.status, await response.text()]).toEqual([200, expect.stringContaining("Overview")]);
  });

  it("writes the race without a script as well", async () => {
    const browser = new Browser((await demo(new MemoryStore())).url);
    await browser.get();
    const writes = await Promise.all([browser.post("/race"), browser.post("/race")]);
    expect(writes.some((page) => page.includes('<output for="kept">2</output>'))).toBe(true);
    expect(await browser.get()).toContain('<output for="overwritten">1</output>');
    expect(await browser.post("/race/reset")).toContain('<output for="kept">0</output>');
  });

  it("tells nothing on the stream of a session that is over", async () => {
    const { url } = await demo(new MemoryStore());
    const none = await fetch(`${url}/events`);
    expect([none.headers.get("content-type"), await none.text()]).toEqual([
      "text/event-stream",
      expect.stringContaining("event: ended"),
    ]);
    // Another session than the one that the page shows, as after a login in another tab.
    const browser = new Browser(url);
    await browser.get();
    const replaced = await fetch(`${url}/events?session=another`, { headers: { cookie: browser.cookie } });
    expect(await replaced.text()).toContain("event: ended");
    const other = await fetch(`${url}/events`, { headers: { origin: "https://evil.example" } });
    expect(other.status).toBe(403);
    expect((await fetch(`${url}/devices`)).status).toBe(204);
  });

  it("watches no session for a page that has left before its stream began", async () => {
    const store = new MemoryStore();
    const { listener } = createDemo(store);
    const [looking, found, left] = [deferred(), deferred(), deferred()];
    const { url, close } = await serve((request, response) => {
      if (request.url?.startsWith("/events") === true) response.once("close", left.resolve);
      listener(request, response);
    });
    onTestFinished(() => close());
    const browser = new Browser(url);
    const [, id] = /data-session="([^"]+)"/.exec(await browser.get()) ?? [];
    const lookUp = store.lookUp.bind(store);
    const lookedUp = vi.spyOn(store, "lookUp").mockImplementationOnce(async (asked) => {
      looking.resolve();
      await found.promise;
      return lookUp(asked);
    });
    const page = new AbortController();
    const stream = fetch(`${url}/events?session=${id}`, { headers: { cookie: browser.cookie }, signal: page.signal });
    await looking.promise;
    page.abort();
    await expect(stream).rejects.toThrow();
    await left.promise;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    found.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(lookedUp).toHaveBeenCalledTimes(1);
  });

  it("answers with a page when the database is away", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const store = new MemoryStore();
    const { url } = await demo(store);
    vi.spyOn(store, "create").mockRejectedValue(new StoreUnavailableError("away"));
    const response = await fetch(url);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain("The database does not answer.");
  });

  it("answers with a page when the store fails", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    const store = new MemoryStore();
    const { url } = await demo(store);
    vi.spyOn(store, "create").mockRejectedValue(new Error("broken"));
    const response = await fetch(url);
    expect(response.status).toBe(500);
    expect(response.headers.getSetCookie()).toEqual([]);
    expect(await response.text()).toContain("Something went wrong.");
  });
});

describe("npm start", () => {
  it("keeps the sessions in a folder over a restart, and ends cleanly", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pgstore-demo-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));

    const first = await start(folder);
    expect(first.line).toMatch(
      /^pgstore demo on http:\/\/localhost:\d+, sessions in PGlite in the folder pgstore-data$/,
    );
    const browser = new Browser(first.url);
    await browser.post("/login", { name: "Ada" });
    await browser.post("/notes", { note: "Still here" });
    expect(await first.stop()).toEqual({ code: 0, errors: "" });

    const second = await start(folder);
    const page = await new Browser(second.url, browser.cookie).get();
    expect(page).toContain("Hello, Ada");
    expect(page).toContain("Still here");
    expect(await second.stop()).toEqual({ code: 0, errors: "" });
  }, 120_000);

  it.each([
    ["a port that is none", { PORT: "4000x" }, "--port or PORT: expected a number from 0 to 65535, got 4000x", 2],
    [
      "a database that can't be reached",
      { DATABASE_URL: "postgres://127.0.0.1:1/none" },
      "the database can't be reached",
      3,
    ],
  ])(
    "says in one line what is wrong: %s",
    async (_, env, message, exitCode) => {
      const child = launch(tmpdir(), env);
      const errors = collect(child.stderr);
      const [code] = (await once(child, "close")) as [number];
      expect(code).toBe(exitCode);
      expect(errors()).toMatch(new RegExp(`^pgstore: ${message}.*\n$`));
    },
    60_000,
  );

  it("leaves a port that is taken alone, and opens no folder then", async () => {
    const { url } = await demo(new MemoryStore());
    const folder = mkdtempSync(join(tmpdir(), "pgstore-demo-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const child = launch(folder, { PORT: new URL(url).port });
    const errors = collect(child.stderr);
    const [code] = (await once(child, "close")) as [number];
    expect(code).toBe(2);
    expect(errors()).toMatch(/^pgstore: port \d+ is already in use\. .*\n$/);
    expect(existsSync(join(folder, "pgstore-data"))).toBe(false);
  }, 60_000);
});

/** What `npm start` runs after the build, in another working directory. */
function launch(folder: string, env: Record<string, string> = {}) {
  const loader = import.meta.resolve("tsx");
  const { DATABASE_URL: _url, NODE_OPTIONS: _options, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--import", loader, join(root, "src/cli.ts"), "demo"], {
    cwd: folder,
    env: { ...inherited, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return () => text;
}

async function start(folder: string) {
  const child = launch(folder);
  const [output, errors] = [collect(child.stdout), collect(child.stderr)];
  await Promise.race([once(child.stdout, "data"), once(child, "close")]);
  const line = output().trim();
  return {
    line,
    url: `http://127.0.0.1:${/:(\d+),/.exec(line)?.[1] ?? errors()}`,
    stop: async () => {
      child.kill("SIGTERM");
      const [code] = (await once(child, "close")) as [number | null];
      return { code, errors: errors() };
    },
  };
}
