import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { APPS } from "../http/apps.ts";
import { DROP_IN } from "../peers/connect-pg-simple.ts";
import type { ScenarioResult } from "../scenarios/scenario.ts";
import { spread } from "../stats.ts";

const LIGHT = { background: "#ffffff", text: "#1f2328", grid: "#d1d9e0" };
const DARK = { background: "#0d1117", text: "#e6edf3", grid: "#3d444d" };
/** Told apart by everybody, and on either background. */
const [BLUE, AMBER, GREY, RED, GREEN] = ["#2f81f7", "#bf8700", "#8b949e", "#d1605e", "#2da44e"];
const PEERS: Record<string, string> = {
  pgstore: BLUE,
  [DROP_IN]: GREEN,
  "connect-pg-simple": AMBER,
  "node-postgres, prepared": GREY,
  "connect-redis": RED,
};
/** Ids of the servers in the README's chart: what a user would choose between, each beside its rival. */
const CHOICE = [
  "pgstore-express",
  "express",
  "pgstore-fastify",
  "fastify",
  "pgstore",
  "drop-in",
  "connect-pg-simple",
  "redis",
];
const KINDS: Record<string, string> = { pgstore: BLUE, peer: AMBER, bare: GREY };

/** Vega measures text by a canvas; without one it takes it to be a third wider than it is, and leaves gaps. */
const { textMetrics } = vega as unknown as { textMetrics: { width: (item: TextItem, text?: string) => number } };
textMetrics.width = (item, text = item.text ?? "") => 0.6 * (item.fontSize ?? 11) * text.length;

interface TextItem {
  text?: string;
  fontSize?: number;
}

const CONFIG = {
  background: LIGHT.background,
  font: "system-ui, -apple-system, 'Segoe UI', sans-serif",
  padding: 16,
  view: { stroke: null },
  axis: {
    labelColor: LIGHT.text,
    titleColor: LIGHT.text,
    gridColor: LIGHT.grid,
    domainColor: LIGHT.grid,
    tickColor: LIGHT.grid,
    labelFontSize: 12,
    titleFontSize: 12,
    labelLimit: 0,
  },
  legend: { labelColor: LIGHT.text, titleColor: LIGHT.text, labelFontSize: 12, labelLimit: 0 },
  header: { labelColor: LIGHT.text, titleColor: LIGHT.text, labelFontSize: 14, labelFontWeight: "bold" },
  title: { color: LIGHT.text, fontSize: 15, anchor: "start", offset: 12 },
} as const;

/** Draws the scenarios that have a chart, as SVG by file name. */
export async function drawCharts(results: readonly ScenarioResult[]): Promise<Record<string, string>> {
  const charts: Record<string, string> = {};
  for (const result of results) {
    if (result.name === "store") charts["store.svg"] = await draw(storeChart(result));
    if (result.name !== "http") continue;
    charts["http.svg"] = await draw(httpChart(result));
    charts["choice.svg"] = await draw(httpChart({ ...result, title: "The same page by other packages" }, CHOICE));
  }
  return charts;
}

function storeChart({ title, values }: ScenarioResult): TopLevelSpec {
  const points = Object.entries(values).flatMap(([path, rates]) => {
    const [operation, inFlight, peer] = path.split("/");
    return peer === undefined ? [] : [{ operation, inFlight, peer, ...spread(rates) }];
  });
  const peers = Object.keys(PEERS).filter((name) => points.some(({ peer }) => peer === name));
  const x = {
    x: { field: "inFlight", type: "ordinal", sort: null, title: "operations in flight", axis: { labelAngle: 0 } },
    xOffset: { field: "peer", sort: peers },
  } as const;
  return {
    title: `${title}; operations a second`,
    data: { values: points },
    facet: { column: { field: "operation", type: "nominal", title: null } },
    spacing: 36,
    spec: {
      width: 330,
      height: 260,
      layer: [
        {
          mark: "bar",
          encoding: {
            ...x,
            y: { field: "median", type: "quantitative", title: null, axis: { format: "~s" } },
            color: {
              field: "peer",
              scale: { domain: peers, range: peers.map((peer) => PEERS[peer] ?? GREY) },
              legend: { title: null, orient: "bottom" },
            },
          },
        },
        rangeRule({ ...x, y: { field: "min", type: "quantitative" }, y2: { field: "max" } }),
      ],
    },
    config: CONFIG,
  };
}

function httpChart({ title, values }: ScenarioResult, ids = APPS.map(({ id }) => id)): TopLevelSpec {
  const points = ["get", "inc"].flatMap((operation) =>
    ids.flatMap((id) => {
      const { name = id, isBare } = APPS.find((app) => app.id === id) ?? {};
      const rates = values[`${operation}/${id}/rate`];
      const kind = isBare === true ? "bare" : /^(?:pgstore|drop-in)/.test(id) ? "pgstore" : "peer";
      return rates === undefined ? [] : [{ operation: operation.toUpperCase(), name, kind, ...spread(rates) }];
    }),
  );
  const y = { field: "name", type: "nominal", sort: null, title: null } as const;
  return {
    title: `${title}; requests a second`,
    data: { values: points },
    facet: { column: { field: "operation", type: "nominal", title: null } },
    spacing: 36,
    spec: {
      width: 260,
      height: { step: 26 },
      layer: [
        {
          mark: "bar",
          encoding: {
            y,
            x: {
              field: "median",
              type: "quantitative",
              title: null,
              axis: { format: "~s", tickCount: 4, labelFlush: false },
            },
            color: {
              field: "kind",
              scale: { domain: Object.keys(KINDS), range: Object.values(KINDS) },
              legend: null,
            },
          },
        },
        rangeRule({ y, x: { field: "min", type: "quantitative" }, x2: { field: "max" } }),
      ],
    },
    config: CONFIG,
  };
}

/** The range of the rounds. */
function rangeRule<Encoding extends object>(encoding: Encoding) {
  return { mark: { type: "rule", color: LIGHT.text, strokeWidth: 1.5 }, encoding } as const;
}

async function draw(spec: TopLevelSpec): Promise<string> {
  const svg = await new vega.View(vega.parse(compile(spec).spec), { renderer: "none" }).toSVG();
  return svg.replace(/^<svg[^>]*>/, (start) => start + style());
}

/** Has a background of its own, so that it can be read anywhere, and follows the reader's preference. */
function style(): string {
  const rules = (["background", "text", "grid"] as const).flatMap((name) =>
    ["fill", "stroke"].map((property) => `[${property}="${LIGHT[name]}"]{${property}:${DARK[name]}}`),
  );
  return `<style>@media (prefers-color-scheme:dark){${rules.join("")}}</style>`;
}
