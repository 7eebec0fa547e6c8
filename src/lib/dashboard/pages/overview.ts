import { bytes, count, counted, rate } from "../../core/format-number.ts";
import { type HistoryPoint, MAX_EXPIRED, type StoreStats } from "../../core/stats.ts";
import type { StoreExtras } from "../../core/store.ts";
import { barChart, lineChart } from "./chart.ts";
import { clockTime, instant, relative, span, weekday } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, PAGES } from "./layout.ts";
import { endedMessage } from "./users.ts";

/** Spans of the plots, in milliseconds. A point is at least 5 minutes long, as each cleanup writes a row of the history. */
const RANGES = {
  hour: { name: "Hour", length: 3_600_000, points: 12 },
  day: { name: "Day", length: 24 * 3_600_000, points: 48 },
  week: { name: "Week", length: 7 * 24 * 3_600_000, points: 84 },
} as const;

type Range = keyof typeof RANGES;

const TICKS = 4;

/** Renders the page of figures and plots. @throws PgStoreError when the store fails */
export async function overview(
  { operations, users }: Pick<StoreExtras, "operations" | "users">,
  query: URLSearchParams,
  now: number,
): Promise<Html> {
  const asked = query.get("range");
  const range: Range = asked === "day" || asked === "week" ? asked : "hour";
  const heading = html`<div class="heading">
      <h1>Overview</h1>
      <nav class="ranges" aria-label="How far back">${rangeLinks(range)}</nav>
      <a class="button danger" href="${link(PAGES.end, { everyone: "1" })}">End every session</a>
    </div>
    ${endedMessage(query)}`;
  if (operations === undefined) {
    return html`${heading}
      <section class="card">
        <p>This store keeps no figures. Those of PostgreSQL are in <code>PgStore</code>.</p>
      </section>`;
  }
  const { length, points } = RANGES[range];
  const [stats, history] = await Promise.all([operations.stats(), operations.history(new Date(now - length), points)]);
  return html`${heading} ${figures(stats, history, range, users !== undefined)}
    <div class="charts">${plots(history, range)} ${expiryChart(stats)}</div>
    ${cleanupCard(stats, now)}`;
}

function rangeLinks(range: Range): Html[] {
  return (Object.keys(RANGES) as Range[]).map((key) => {
    const href = link(PAGES.overview, { range: key });
    return key === range
      ? html`<a href="${href}" aria-current="true">${RANGES[key].name}</a>`
      : html`<a href="${href}">${RANGES[key].name}</a>`;
  });
}

function figures(stats: StoreStats, history: readonly HistoryPoint[], range: Range, canHaveUsers: boolean): Html {
  const about = stats.isEstimate ? "about " : "";
  const minutes = history.reduce((sum, { length }) => sum + length, 0) / 60_000;
  const average = (key: "created" | "ended"): string =>
    history.every(isUnknown) ? "–" : rate(history.reduce((sum, point) => sum + point[key], 0) / minutes);
  const window = `on average, in the last ${range}`;
  return html`<dl class="figures">
    ${figure("Live sessions", about + count(stats.live), stats.isEstimate ? "estimated from a sample" : undefined)}
    ${figure(
      "Logged-in users",
      stats.users === undefined ? "–" : about + count(stats.users),
      stats.loggedIn === undefined
        ? canHaveUsers
          ? html`run <code>npx pgstore migrate</code>`
          : "not known on such a table"
        : `with ${about}${counted(stats.loggedIn, "session")}`,
    )}
    ${figure("Created per minute", average("created"), window)} ${figure("Ended per minute", average("ended"), window)}
    ${figure("Expired backlog", stats.expired >= MAX_EXPIRED ? `${count(MAX_EXPIRED)} or more` : count(stats.expired), "rows that wait for the cleanup")}
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

function plots(history: readonly HistoryPoint[], range: Range): Html {
  const labels = history.map(({ at }) => (range === "hour" ? clockTime(at) : `${weekday(at)}, ${clockTime(at)}`));
  const begin = history[0]?.at.getTime() ?? 0;
  const length = history.reduce((sum, point) => sum + point.length, 0);
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => {
    const at = new Date(begin + (index * length) / TICKS);
    return range === "week" ? weekday(at) : clockTime(at);
  });
  const common = { labels, ticks, axis: "From" };
  const live = history.map((point) => point.live);
  const created = perMinute(history, "created");
  const ended = perMinute(history, "ended");
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
    summary: `Sessions created per minute over the last ${range}: ${extent(created)}; ended: ${extent(ended)}.`,
    lines: [
      { name: "Created", colour: 3, values: created },
      { name: "Ended", colour: 4, values: ended },
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

/**
 * Returns rates per minute. A process counts what happened since its last cleanup, so the counts of a point are spread over the
 * points without a record before it.
 */
function perMinute(history: readonly HistoryPoint[], key: "created" | "ended"): (number | undefined)[] {
  let minutes = 0;
  return history.map((point) => {
    minutes += point.length / 60_000;
    if (isUnknown(point)) return undefined;
    const average = point[key] / minutes;
    minutes = 0;
    return average;
  });
}

/** Says whether no process has written a record in a point. */
function isUnknown({ live, created, ended }: HistoryPoint): boolean {
  return live === undefined && created + ended === 0;
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
    ticks: labels.map((label) => label.replace("≤ ", "").replace(/ (.)\w+$/, "$1")),
    lines: [{ name: "Sessions", colour: 2, values }],
  });
}

/** Summarizes values: "from 3 to 40, at last 12". */
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
            ${counted(cleanup.removed, "row")} removed in ${span(cleanup.took)}, ${relative(cleanup.at, now)}
            (${instant(cleanup.at)}).
          </p>`
    }
  </section>`;
}
