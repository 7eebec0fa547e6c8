import { SchemaError } from "../base/errors.ts";
import type { HistoryPoint, StoreOperations, StoreStats } from "../port/stats.ts";
import { barChart, lineChart } from "./chart.ts";
import { bytes, clockTime, count, counted, instant, rate, relative, span, weekday } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, PAGES } from "./layout.ts";

/** How far back the plots go, and in how many points: a cleanup, by which history is written, comes every 5 minutes. */
const RANGES = {
  hour: { name: "Hour", length: 3_600_000, points: 12 },
  day: { name: "Day", length: 24 * 3_600_000, points: 48 },
  week: { name: "Week", length: 7 * 24 * 3_600_000, points: 84 },
} as const;

type Range = keyof typeof RANGES;

const TICKS = 4;

/** The page of the figures and plots. @throws as `operations.stats` */
export async function overview(
  operations: StoreOperations | undefined,
  query: URLSearchParams,
  now: number,
): Promise<Html> {
  const asked = query.get("range");
  const range: Range = asked === "day" || asked === "week" ? asked : "hour";
  const heading = html`<div class="heading">
    <h1>Overview</h1>
    <nav class="ranges" aria-label="How far back">${rangeLinks(range)}</nav>
  </div>`;
  if (operations === undefined) {
    return html`${heading}
      <section class="card">
        <p>This store keeps no figures. Those of PostgreSQL are in <code>PgStore</code>.</p>
      </section>`;
  }
  const { length, points } = RANGES[range];
  const [stats, history] = await Promise.all([
    operations.stats(),
    operations.history(new Date(now - length), points).catch(missing),
  ]);
  return html`${heading} ${figures(stats, Array.isArray(history) ? history : [], range)}
    <div class="charts">
      ${Array.isArray(history) ? plots(history, range, now) : notice(history)} ${expiryChart(stats)}
    </div>
    ${cleanupCard(stats, now)}`;
}

/** A table that was migrated by an older version has no history yet; the figures can be shown all the same. */
function missing(error: unknown): string {
  if (error instanceof SchemaError) return error.message;
  throw error;
}

function notice(message: string): Html {
  return html`<section class="card">
    <h2>No history</h2>
    <p>${message}</p>
  </section>`;
}

function rangeLinks(range: Range): Html[] {
  return (Object.keys(RANGES) as Range[]).map((key) => {
    const href = link(PAGES.overview, { range: key });
    return key === range
      ? html`<a href="${href}" aria-current="true">${RANGES[key].name}</a>`
      : html`<a href="${href}">${RANGES[key].name}</a>`;
  });
}

function figures(stats: StoreStats, history: readonly HistoryPoint[], range: Range): Html {
  const about = stats.isEstimate ? "about " : "";
  const minutes = history.reduce((sum, { length }) => sum + length, 0) / 60_000;
  const perMinute = (key: "created" | "ended"): string =>
    minutes === 0 ? "–" : rate(history.reduce((sum, point) => sum + point[key], 0) / minutes);
  const window = `on average, in the last ${range}`;
  return html`<dl class="figures">
    ${figure("Live sessions", about + count(stats.live), stats.isEstimate ? "estimated from a sample" : undefined)}
    ${figure(
      "Logged-in users",
      stats.users === undefined ? "–" : about + count(stats.users),
      stats.loggedIn === undefined
        ? html`run <code>npx pgstore migrate</code>`
        : `with ${about}${counted(stats.loggedIn, "session")}`,
    )}
    ${figure("Created per minute", perMinute("created"), window)}
    ${figure("Ended per minute", perMinute("ended"), window)}
    ${figure("Expired backlog", count(stats.expired), "rows that wait for the cleanup")}
    ${figure(
      "Size",
      bytes(stats.tableBytes + stats.indexBytes),
      `table ${bytes(stats.tableBytes)}, indexes ${bytes(stats.indexBytes)}`,
    )}
  </dl>`;
}

function figure(name: string, value: string, hint: Content): Html {
  return html`<div class="card">
    <dt>${name}</dt>
    <dd>
      <span class="value">${value}</span>
      <span class="hint">${hint}</span>
    </dd>
  </div>`;
}

function plots(history: readonly HistoryPoint[], range: Range, now: number): Html {
  const nameOf = range === "week" ? weekday : clockTime;
  const labels = history.map(({ at }) => (range === "hour" ? clockTime(at) : `${weekday(at)}, ${clockTime(at)}`));
  const { length } = RANGES[range];
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) =>
    nameOf(new Date(now - length + (index * length) / TICKS)),
  );
  const common = { labels, ticks, axis: "From" };
  const live = history.map((point) => point.live);
  const perMinute = (key: "created" | "ended"): number[] =>
    history.map((point) => point[key] / Math.max(point.length / 60_000, 1 / 60));
  const removed = history.map((point) => point.removed);
  return html`${lineChart({
    ...common,
    id: "live",
    title: "Live sessions and users",
    summary: `Live sessions over the last ${range}: ${extent(live)}.`,
    lines: [
      { name: "Sessions", colour: 1, values: live },
      { name: "Users", colour: 2, values: history.map((point) => point.users) },
    ],
  })}
  ${lineChart({
    ...common,
    id: "rates",
    title: "Created and ended per minute",
    summary:
      `Sessions created per minute over the last ${range}: ${extent(perMinute("created"))}; ` +
      `ended: ${extent(perMinute("ended"))}.`,
    lines: [
      { name: "Created", colour: 3, values: perMinute("created") },
      { name: "Ended", colour: 4, values: perMinute("ended") },
    ],
  })}
  ${barChart({
    ...common,
    id: "removed",
    title: "Removed by the cleanup",
    summary: `Expired rows that the cleanup removed over the last ${range}: ${extent(removed)}.`,
    lines: [{ name: "Removed", colour: 1, values: removed }],
  })}`;
}

function expiryChart({ expiring, isEstimate }: StoreStats): Html {
  const labels = expiring.map(({ within }, index) =>
    Number.isFinite(within) ? `≤ ${span(within)}` : `> ${span(expiring[index - 1]?.within ?? 0)}`,
  );
  const values = expiring.map((line) => line.count);
  const about = isEstimate ? "Estimated: " : "";
  return barChart({
    id: "expiry",
    title: "Time to expiry",
    summary: `${about}live sessions by when they expire. ${labels.map((label, n) => `${label}: ${count(values[n] ?? 0)}`).join("; ")}.`,
    axis: "Expires within",
    labels,
    ticks: labels.map((label) => label.replace(/(\d+) (?:(mi)n|(.))\w*$/, "$1 $2$3")),
    lines: [{ name: "Sessions", colour: 2, values }],
  });
}

/** "from 3 to 40, now 12" */
function extent(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return "not counted";
  return `from ${rate(Math.min(...known))} to ${rate(Math.max(...known))}, at last ${rate(known.at(-1) ?? 0)}`;
}

function cleanupCard({ cleanup }: StoreStats, now: number): Html {
  return html`<section class="card">
    <h2>Last cleanup</h2>
    ${
      cleanup === undefined
        ? html`<p>None is on record.</p>`
        : html`<p>
            ${relative(cleanup.at, now)}, at ${instant(cleanup.at)}: ${counted(cleanup.removed, "row")} removed in
            ${span(cleanup.took)}.
          </p>`
    }
  </section>`;
}
