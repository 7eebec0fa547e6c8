const BROWSERS: [name: string, version: RegExp][] = [
  ["Edge", /\bEdg(?:e|A|iOS)?\/(\d+)/],
  ["Opera", /\bOPR\/(\d+)/],
  ["Samsung Internet", /\bSamsungBrowser\/(\d+)/],
  ["Firefox", /\b(?:Firefox|FxiOS)\/(\d+)/],
  ["Chrome", /\b(?:Chrome|CriOS|HeadlessChrome)\/(\d+)/],
  ["Safari", /\bVersion\/(\d+)(?:\.\d+)* (?:Mobile\/\S+ )?Safari\//],
];

const SYSTEMS: [name: string, mark: RegExp][] = [
  ["iPhone", /\biPhone\b/],
  ["iPad", /\biPad\b/],
  ["Android", /\bAndroid\b/],
  ["ChromeOS", /\bCrOS\b/],
  ["Windows", /\bWindows NT\b/],
  ["macOS", /\bMac OS X\b/],
  ["Linux", /\bLinux\b/],
];

const MAX_CHARACTERS = 60;

/** Describes a User-Agent header in a few words: "Firefox 128 on Linux". An unknown one is returned verbatim, cut to 60 characters. */
export function describeUserAgent(userAgent: string | undefined): string {
  if (userAgent === undefined || userAgent === "") return "Not recorded";
  const system = SYSTEMS.find(([, mark]) => mark.test(userAgent))?.[0];
  for (const [name, version] of BROWSERS) {
    const number = version.exec(userAgent)?.[1];
    if (number !== undefined) return `${name} ${number}${system === undefined ? "" : ` on ${system}`}`;
  }
  return userAgent.length > MAX_CHARACTERS ? `${userAgent.slice(0, MAX_CHARACTERS - 1)}…` : userAgent;
}
