import { rate } from "../../core/format-number.ts";
import { brief } from "./format.ts";
import { type Html, html } from "./html.ts";

/** A line of a chart. */
interface Line {
  name: string;
  /** Number of the colour, 1 to 4. */
  colour: number;
  /** One value for each label. Undefined: unknown, and the line may have a gap there. */
  values: readonly (number | undefined)[];
}

/** A chart with its texts. */
interface Chart {
  /** Prefix of the element ids, unique in the page. */
  id: string;
  title: string;
  /** Sentence that says for screen readers what the chart shows. */
  summary: string;
  /** Names of the points, from left to right. */
  labels: readonly string[];
  /** Name of the labels: the head of their column in the table. */
  axis: string;
  /** Texts below the plot, from left to right. */
  ticks: readonly string[];
  lines: readonly Line[];
  /** Sentence below the plot, or in its place if there is nothing to plot. */
  note?: Html | undefined;
  /** Whether there is nothing to plot. */
  isEmpty?: boolean;
}

/** Width and height of a plot in its own units. The page stretches it. */
const SIZE = 100;

/** Known points at most this far apart are joined by a line. */
const MAX_GAP_POINTS = 3;

/** Renders lines over time. */
export function lineChart(chart: Chart): Html {
  const top = topOf(chart.lines);
  const shapes = chart.lines.map(({ colour, values }, index) => {
    const { line, area } = pathsOf(values, top);
    const filled = index === 0 && html`<path class="area c${colour}" d="${area}"></path>`;
    return html`${filled}<path class="line c${colour}" d="${line}"></path>`;
  });
  return figure(chart, top, shapes);
}

/** Renders the first line as bars. */
export function barChart(chart: Chart): Html {
  const top = topOf(chart.lines);
  const [line] = chart.lines;
  const width = SIZE / chart.labels.length;
  const shapes = (line?.values ?? []).map((value, index) => {
    const height = round(((value ?? 0) / top) * SIZE);
    const [x, y] = [round(index * width + width * 0.14), round(SIZE - height)];
    return html`<rect class="c${line?.colour}" x="${x}" y="${y}" width="${round(width * 0.72)}" height="${height}" />`;
  });
  return figure(chart, top, shapes);
}

function figure(chart: Chart, top: number, shapes: readonly Html[]): Html {
  const { id, title, summary, ticks, lines, labels, note, isEmpty = false } = chart;
  if (isEmpty) {
    return html`<figure class="card">
      <figcaption><h2>${title}</h2></figcaption>
      <p class="empty"><span>${note}</span></p>
    </figure>`;
  }
  const width = SIZE / labels.length;
  // Transparent columns show the values of a point as a tooltip.
  const columns = labels.map((label, index) => {
    const told = lines.map(({ name, values }) => `${name}: ${valueText(values[index])}`);
    return html`<rect class="column" x="${round(index * width)}" y="0" width="${round(width)}" height="100">
      <title>${[label, ...told].join("\n")}</title>
    </rect>`;
  });
  return html`<figure class="card">
    <figcaption>
      <h2>${title}</h2>
      ${lines.length > 1 && legend(lines)}
    </figcaption>
    <div class="plot">
      <div class="scale" aria-hidden="true"><span>${brief(top)}</span><span>${brief(top / 2)}</span><span>0</span></div>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-labelledby="${id}-title ${id}-summary">
        <title id="${id}-title">${title}</title>
        <desc id="${id}-summary">${summary}</desc>
        <path class="grid" d="M0 0H100M0 50H100M0 100H100"></path>
        ${shapes} ${columns}
      </svg>
      <div class="ticks ${ticks.length === labels.length ? "each" : ""}" aria-hidden="true">
        ${ticks.map((tick) => html`<span>${tick}</span>`)}
      </div>
    </div>
    ${note !== undefined && html`<p class="hint">${note}</p>`} ${table(chart)}
  </figure>`;
}

function legend(lines: readonly Line[]): Html {
  const items = lines.map(({ name, colour }) => html`<li><span class="swatch c${colour}"></span>${name}</li>`);
  return html`<ul class="legend">
    ${items}
  </ul>`;
}

/** Renders the values as a table, for screen readers and for copying. */
function table({ id, axis, labels, lines }: Chart): Html {
  const rows = labels.map(
    (label, index) =>
      html`<tr>
        <th scope="row">${label}</th>
        ${lines.map(({ values }) => html`<td>${valueText(values[index])}</td>`)}
      </tr>`,
  );
  return html`<details>
    <summary>As a table<span class="unseen">: ${id}</span></summary>
    <div class="scroll" tabindex="0" role="region" aria-label="${lines.map(({ name }) => name).join(", ")}">
      <table class="values">
        <thead>
          <tr>
            <th scope="col">${axis}</th>
            ${lines.map(({ name }) => html`<th scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
  </details>`;
}

function valueText(value: number | undefined): string {
  return value === undefined ? "not counted" : rate(value);
}

/** Returns the SVG paths of a line through all points, and of the area below it. */
function pathsOf(values: readonly (number | undefined)[], top: number): { line: string; area: string } {
  const width = SIZE / values.length;
  let [line, area] = ["", ""];
  for (const run of runsOf(values)) {
    const xs = run.map(({ index }) => round((index + 0.5) * width));
    const points = run.map(({ value }, n) => `${xs[n]} ${round(SIZE - (value / top) * SIZE)}`).join("L");
    // A line of no length still has round ends: a lone point is a dot.
    line += `M${points}${run.length === 1 ? "h0" : ""}`;
    area += `M${points}V${SIZE}H${xs[0]}Z`;
  }
  return { line, area };
}

/** Groups the known values into runs without a wide gap. */
function runsOf(values: readonly (number | undefined)[]): { value: number; index: number }[][] {
  const runs: { value: number; index: number }[][] = [];
  values.forEach((value, index) => {
    if (value === undefined) return;
    const run = runs.at(-1);
    if (run === undefined || index - (run.at(-1)?.index ?? 0) > MAX_GAP_POINTS) runs.push([{ value, index }]);
    else run.push({ value, index });
  });
  return runs;
}

/** Returns the next round number above all values that has few digits when halved. */
function topOf(lines: readonly Line[]): number {
  const most = Math.max(0, ...lines.flatMap(({ values }) => values.map((value) => value ?? 0)));
  if (most === 0) return 2;
  const power = 10 ** Math.floor(Math.log10(most));
  const steps = most < 10 ? [1, 2, 4, 6, 8, 10] : [1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10];
  const step = steps.find((factor) => factor * power >= most * 1.02) ?? 12;
  return step * power;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
