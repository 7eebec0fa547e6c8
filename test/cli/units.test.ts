import { PassThrough } from "node:stream";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { columns, confirmed, onStop, plain, type Terminal } from "../../src/lib/cli/terminal.ts";
import { durationText } from "../../src/lib/core/format-number.ts";
import { failureOf, redact, redactForeign, UsageError } from "../../src/lib/cli/failures.ts";
import { Progress } from "../../src/lib/cli/progress.ts";
import { folderOf } from "../../src/lib/postgres/open.ts";
import { StoreError, StoreUnavailableError } from "../../src/index.ts";

const HOUR = 3_600_000;

describe("folderOf", () => {
  it.each([
    ["./data", "./data"],
    ["../data", "../data"],
    ["/var/lib/data", "/var/lib/data"],
    ["data", "data"],
    ["my data/db", "my data/db"],
    [".data/db", ".data/db"],
    ["data.v2", "data.v2"],
    ["C:\\data", "C:\\data"],
    ["file:data", "data"],
    ["file:/data", "/data"],
    ["FILE:///data", "/data"],
    ["postgres://db/app", undefined],
    ["PostgreSQL://db", undefined],
  ])("reads %s as %j", (url, folder) => {
    expect(folderOf(url)).toBe(folder);
  });

  it.each([
    "localhost/app",
    "db.example.com/app",
    "10.0.0.1/app",
    "db:5432/app",
    "me@db/app",
    "/me:s3cr3t@db/app",
    "file://db/app",
    "dbname=app",
    "postgres:app",
    "https://db/app",
    "jdbc:postgresql://db/app?password=s3cr3t",
  ])("refuses %s, and shows nothing of it", (url) => {
    const error = catchError(() => folderOf(url));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toMatch(/^TypeError: url: expected postgres:/);
    expect(String(error)).not.toMatch(/app|s3cr3t/);
  });
});

function catchError(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

describe("redact", () => {
  it.each([
    ["failed for postgres://me:secret@db/app?x=1", "failed for postgres://me:***@db/app?x=1"],
    ["postgres://me:a:b@c/d@db/app and more", "postgres://me:***@db/app and more"],
    ["postgres://db/app?user=me&password=secret&x=1", "postgres://db/app?user=me&password=***&x=1"],
    ["me:secret@db/app", "me:***@db/app"],
    ["'//me:secret@db:5432/app'", "'//me:***@db:5432/app'"],
    ["host=db password=secret dbname=app", "host=db password=*** dbname=app"],
    ["password = 'it\\'s secret' user=me", "password = *** user=me"],
    ["PGPASSWORD=secret", "PGPASSWORD=***"],
    ["postgres://me@db/app", "postgres://me@db/app"],
    ["me@example.com, at 10:20", "me@example.com, at 10:20"],
    ['table "secret" is missing', 'table "secret" is missing'],
  ])("%s", (text, expected) => {
    expect(redact(text)).toBe(expected);
  });

  it("takes secrets that stand alone out of what others say", () => {
    expect(redactForeign("it was sesame-street", ["postgres://me:sesame@db/app"], "sesame-street")).toBe("it was ***");
    const urls = [
      "postgres://me:s3cret%23@db/app",
      undefined,
      "postgres://x:%E0%A4%A@y",
      "host=db password='a b\\'c' x=1",
    ];
    expect(redactForeign("s3cret# alone, s3cret%23, a b'c, and hunter2 of hunter22", urls, "hunter2")).toBe(
      "*** alone, ***, ***, and *** of ***2",
    );
    expect(redactForeign("me:secr3t@db, the secr3t", ["me:secr3t@db/app"])).toBe("me:***@db, the ***");
    // Too short to be told from innocent words.
    expect(redactForeign("a cat", ["postgres://me:cat@db/app"])).toBe("a cat");
  });
});

describe("text", () => {
  it("shows nothing that a terminal would obey", () => {
    expect(plain("a\u001B[31mb\u202Ec\nd\u0000 é 😀")).toBe("a\\u{1b}[31mb\\u{202e}c\\u{a}d\\u{0} é 😀");
  });

  it("writes times and columns", () => {
    expect([0.4, 999, 1500, 90_000, 5 * HOUR, 72 * HOUR].map(durationText)).toEqual([
      "0 ms",
      "999 ms",
      "2 s",
      "2 min",
      "5 h",
      "3 d",
    ]);
    expect(
      columns([
        ["A", "B"],
        ["long", "x"],
      ]),
    ).toBe("A     B\nlong  x");
  });
});

describe("Progress", () => {
  function shown(isTTY: boolean, total: number | undefined) {
    const clock = { now: 0 };
    const stream = { isTTY, text: "", write: (text: string) => (stream.text += text) };
    return { clock, stream, progress: new Progress("work", total, stream, () => clock.now) };
  }

  it("draws a bar over itself on a terminal, ten times a second at most", () => {
    const { clock, stream, progress } = shown(true, 200);
    progress.update(10);
    expect(stream.text).toBe("");
    clock.now = 1000;
    progress.update(50);
    expect(stream.text).toBe(`\r\u001B[Kwork [${"#".repeat(8)}${"-".repeat(22)}] 25% 50 of 200 50/s, 3 s left`);
    clock.now = 1050;
    progress.update(60);
    clock.now = 2000;
    progress.update(300);
    progress.finish();
    expect(stream.text.split("\r")).toHaveLength(4);
    expect(stream.text).toMatch(/100% 300 of 200 150\/s\n$/);
  });

  it("writes a line now and then elsewhere, and none for what is soon done", () => {
    const { clock, stream, progress } = shown(false, undefined);
    clock.now = 4000;
    progress.update(10);
    expect(stream.text).toBe("");
    clock.now = 5000;
    progress.update(2000);
    progress.finish();
    expect(stream.text).toBe("work: 2,000 400/s\n");
  });

  it("has no bar when nobody knows how much there is", () => {
    const { clock, stream, progress } = shown(true, undefined);
    clock.now = 100;
    progress.update(7);
    expect(stream.text).toBe("\r\u001B[Kwork 7 70/s");
  });
});

describe("confirmed", () => {
  function terminal(isTTY: boolean) {
    const [input, output] = [new PassThrough(), new PassThrough()].map((stream) => Object.assign(stream, { isTTY }));
    return { input, output } as unknown as Terminal & { input: PassThrough; output: PassThrough };
  }

  it.each([
    ["y\n", true],
    ["Yes\n", true],
    ["\n", false],
    ["no\n", false],
    ["yellow\n", false],
    ["y\u0003", false],
    ["\u0004", false],
  ])("takes %j for %s", async (answer, expected) => {
    const asked = terminal(true);
    const decided = confirmed("Really?", undefined, asked);
    asked.input.write(answer);
    expect(await decided).toBe(expected);
    expect(String(asked.output.read())).toContain("Really? [y/N]");
  });

  it("asks nobody when --yes was said, and refuses when nobody is there", async () => {
    expect(await confirmed("Really?", true, terminal(false))).toBe(true);
    await expect(confirmed("Really?", undefined, terminal(false))).rejects.toThrow(UsageError);
  });
});

describe("onStop", () => {
  it("takes a Ctrl-C that npx sends on for one, and leaves a later one to the system", () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const listening = process.listenerCount("SIGINT");
    const stop = vi.fn();
    const ignore = onStop(stop);
    process.emit("SIGINT");
    ignore();
    process.emit("SIGINT");
    expect(stop).toHaveBeenCalledTimes(1);
    expect(process.listenerCount("SIGINT")).toBe(listening + 1);
    vi.advanceTimersByTime(500);
    expect(process.listenerCount("SIGINT")).toBe(listening);
  });

  it("stops listening when it is told to", () => {
    const listening = process.listenerCount("SIGTERM");
    const stop = vi.fn();
    onStop(stop)();
    expect(process.listenerCount("SIGTERM")).toBe(listening);
    expect(stop).not.toHaveBeenCalled();
  });
});

describe("failureOf", () => {
  it("tells the cause in the same line, whatever it is", () => {
    const cause = Object.assign(new Error(""), { code: "ENOENT" });
    const unavailable = new StoreUnavailableError("no database", { cause });
    expect(failureOf(unavailable)).toEqual({ exitCode: 3, code: "STORE_UNAVAILABLE", message: "no database (ENOENT)" });
    expect(failureOf(new StoreError("refused"))).toEqual({ exitCode: 1, code: "STORE_FAILED", message: "refused" });
    expect(failureOf(new Error("two\n  lines"))).toEqual({ exitCode: 1, code: "FAILED", message: "two lines" });
    expect(failureOf("a text")).toMatchObject({ exitCode: 1, message: "a text" });
  });
});
