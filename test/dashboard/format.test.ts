import { describe, expect, it } from "vitest";
import { describeUserAgent } from "../../src/lib/dashboard/user-agent.ts";
import { brief, fromNow, span } from "../../src/lib/dashboard/pages/format.ts";
import { html } from "../../src/lib/dashboard/pages/html.ts";

describe("describeUserAgent", () => {
  const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
  it.each([
    ["Firefox 140 on Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
    ["Chrome 141 on Windows", `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${webkit} Chrome/141.0.0.0 Safari/537.36`],
    ["Chrome 141 on Android", `Mozilla/5.0 (Linux; Android 10; K) ${webkit} Chrome/141.0.0.0 Mobile Safari/537.36`],
    ["Edge 141 on Windows", `Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0`],
    [
      "Opera 120 on macOS",
      `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${webkit} Chrome/136.0 Safari/537.36 OPR/120.0`,
    ],
    [
      "Safari 18 on macOS",
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    ],
    [
      "Safari 18 on iPhone",
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    ],
    [
      "Chrome 141 on iPad",
      "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/141.0 Mobile/15E148 Safari/604.1",
    ],
    ["curl/8.14.1", "curl/8.14.1"],
    ["Not recorded", undefined],
    ["Not recorded", ""],
    [`${"x".repeat(59)}…`, "x".repeat(512)],
  ])("says %s", (device, userAgent) => {
    expect(describeUserAgent(userAgent)).toBe(device);
  });
});

describe("brief", () => {
  it("shortens thousands and millions", () => {
    expect([brief(1500), brief(12_345), brief(2_000_000)]).toEqual(["1,500", "12.3K", "2M"]);
  });
});

describe("span", () => {
  it("names a length in one unit", () => {
    expect([12, 1000, 1500, 60_000, 7_199_000, 86_400_000, 30 * 86_400_000].map(span)).toEqual([
      "12 ms",
      "1 second",
      "1.5 seconds",
      "1 minute",
      "1 hour",
      "1 day",
      "30 days",
    ]);
  });
});

describe("fromNow", () => {
  it("tells how far an instant is from now", () => {
    const now = 1e12;
    const told = (passed: number): string => fromNow(new Date(now - passed), now);
    expect([told(0), told(4000), told(7300), told(90_000), told(-90_000), told(-86_400_000)]).toEqual([
      "now",
      "now",
      "7 seconds ago",
      "1 minute ago",
      "in 1 minute",
      "in 1 day",
    ]);
  });
});

describe("html", () => {
  it("escapes everything but its own results", () => {
    const made = html`<p title="${`"'<>&`}">${[html`<b>${"<i>"}</b>`, undefined, 7]}</p>`;
    expect(made.markup).toBe('<p title="&quot;&#39;&lt;&gt;&amp;"><b>&lt;i&gt;</b>7</p>');
    expect(() => html`${{ markup: "<script>" }}`).toThrow(TypeError);
  });
});
