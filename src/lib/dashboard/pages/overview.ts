import { bytes, count, counted, rate } from "../../core/format-number.ts";
import { type HistoryPoint, MAX_EXPIRED, type StoreStats } from "../../core/stats.ts";
import type { PageVisit } from "../visit.ts";
import { barChart, lineChart } from "./chart.ts";
import { about, clockTime, instant, relative, rounded, span, weekday } from "./format.ts";
import { type Content, type Html, html } from "./html.ts";
import { link, type MenuEntry, type Page, PAGES, refreshIn } from "./layout.ts";
import { missingColumns } from "./not-migrated.ts";
import { choices, revokedMessage } from "./tables.ts";

/** Spans of the plots, in milliseconds. A point is at least 5 minutes long, as each cleanup writes a row of the history. */
const RANGES = {
  hour: { name: "Hour", length: 3_600_000, points: 12 },
  day: { name: "Day", length: 24 * 3_600_000, points: 48 },
  week: { name: "Week", length: 7 * 24 * 3_600_000, points: 84 },
} as const;

type Range = keyof typeof RANGES;

const TICKS = 4;

/** Renders the page of figures and plots. @throws PgStoreError when the store fails */
export async function overviewPage(visit: PageVisit): Promise<Page> {
  return { heading: "Overview", section: "overview", main: await overview(visit) };
}

async function overview({ dashboard, query, now }: PageVisit): Promise<Html> {
  const { operations, users } = dashboard.manager.store;
  const asked = query.get("range");
  const range: Range = asked === "day" || asked === "week" ? asked : "hour";
  const heading = html`<div class="heading">
      <h1>Overview</h1>
      ${choices("How far back", rangesOf(range, refreshIn(query)))}
      <a class="button" href="${link(PAGES.revoke, { everyone: "1" })}">Revoke every session</a>
    </div>
    ${revokedMessage(query)}`;
  if (operations === undefined) {
    return html`${heading}
      <section class="card">
        <p>This store keeps no figures. Those of PostgreSQL are in <code>PgStore</code>.</p>
      </section>`;
  }
  const { length, points } = RANGES[range];
  const [stats, history] = await Promise.all([operations.stats(), operations.history(new Date(now - length), points)]);
  const isOld = stats.loggedIn === undefined && users !== undefined;
  return html`${heading} ${isOld && missingColumns()} ${figures(stats, history, range)}
    <div class="charts">${plots(history, range, stats.cleanup, now)} ${expiryChart(stats)}</div>
    ${cleanupCard(stats, now)}`;
}

function rangesOf(range: Range, refresh: string | undefined): MenuEntry[] {
  return (Object.keys(RANGES) as Range[]).map((key) => [
    RANGES[key].name,
    link(PAGES.overview, { range: key, refresh }),
    key === range,
  ]);
}

function figures(stats: StoreStats, history: readonly HistoryPoint[], range: Range): Html {
  const { isEstimate } = stats;
  const shown = isEstimate ? about : count;
  const minutes = history.reduce((sum, { length }) => sum + length, 0) / 60_000;
  const average = (key: "created" | "ended"): string =>
    history.every(isUnknown) ? "–" : rate(history.reduce((sum, point) => sum + point[key], 0) / minutes);
  const window = `on average, in the last ${range}`;
  const loggedIn =
    stats.loggedIn === undefined ? "not known on such a table" : `with ${shown(stats.loggedIn)} sessions`;
  const sample = "estimated from a sample";
  return html`<dl class="figures">
    ${figure("Live sessions", shown(stats.live), isEstimate && sample)}
    ${figure("Logged-in users", stats.users === undefined ? "–" : shown(stats.users), stats.loggedIn === 1 ? "with 1 session" : loggedIn)}
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

function plots(history: readonly HistoryPoint[], range: Range, cleanup: StoreStats["cleanup"], now: number): Html {
  const labels = history.map((point) => labelOf(point, range));
  const begin = history[0]?.at.getTime() ?? 0;
  const length = history.reduce((sum, point) => sum + point.length, 0);
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => {
    const at = new Date(begin + (index * length) / TICKS);
    return range === "week" ? weekday(at) : clockTime(at);
  });
  const { isEmpty, note } = beginningOf(history, range, cleanup, now);
  const common = { labels, ticks, axis: "From", isEmpty, note };
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

/** Says since when there is history. */
function beginningOf(
  history: readonly HistoryPoint[],
  range: Range,
  cleanup: StoreStats["cleanup"],
  now: number,
): { isEmpty: boolean; note: Html | undefined } {
  const first = history.find((point) => !isUnknown(point) || point.removed > 0);
  if (first !== undefined) {
    return { isEmpty: false, note: first === history[0] ? undefined : html`Recorded since ${labelOf(first, range)}.` };
  }
  const note =
    cleanup === undefined
      ? html`No history yet. It begins with the first cleanup of any process, by default 5 minutes after its start
        (<code>cleanupInterval</code>).`
      : html`Nothing was recorded in the last ${range}. The last cleanup was ${relative(cleanup.at, now)}.`;
  return { isEmpty: true, note };
}

function labelOf({ at }: HistoryPoint, range: Range): string {
  return range === "hour" ? clockTime(at) : `${weekday(at)}, ${clockTime(at)}`;
}

/** Says whether no process has written a record in a point. */
function isUnknown({ live, created, ended }: HistoryPoint): boolean {
  return live === undefined && created + ended === 0;
}

function expiryChart({ expiring, isEstimate }: StoreStats): Html {
  const labels = expiring.map(({ within }, index) =>
    Number.isFinite(within) ? `≤ ${span(within)}` : `> ${span(expiring[index - 1]?.within ?? 0)}`,
  );
  const values = expiring.map((line) => (isEstimate ? rounded(line.count) : line.count));
  const estimated = isEstimate ? "Estimated: " : "";
  return barChart({
    id: "expiry",
    title: isEstimate ? "Time to expiry, estimated" : "Time to expiry",
    summary: `${estimated}live sessions by when they expire. ${labels.map((label, n) => `${label}: ${count(values[n] ?? 0)}`).join("; ")}.`,
    axis: "Expires within",
    labels,
    ticks: labels.map((label) => label.replace(/^[≤>] (\d+) (.)\w+$/, label.startsWith(">") ? "later" : "$1$2")),
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
        ? html`<p>No cleanup is on record.</p>`
        : html`<p>
            ${counted(cleanup.removed, "row")} removed in ${span(cleanup.took)}, ${relative(cleanup.at, now)}
            (${instant(cleanup.at)}).
          </p>`
    }
  </section>`;
}
