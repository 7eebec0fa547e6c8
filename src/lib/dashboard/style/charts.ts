import { css } from "./base.ts";

/** Figures and plots of the overview. */
export const CHART_STYLE = css`
  .ranges {
    display: flex;
    gap: 0.25rem;
    padding: 0.25rem;
    border: 1px solid var(--line);
    border-radius: 0.75rem;
    background: var(--card);
  }

  .figures {
    display: grid;
    grid-template-columns: repeat(6, minmax(0, 1fr));
    gap: 1rem;
  }

  @media (max-width: 62rem) {
    .figures {
      grid-template-columns: repeat(3, minmax(0, 1fr));
    }
  }

  @media (max-width: 36rem) {
    .figures {
      grid-template-columns: repeat(2, minmax(0, 1fr));
    }
  }

  .figures .card {
    padding-inline: 1rem;
  }

  .figures dt {
    color: var(--soft);
    font-size: 0.875rem;
  }

  .figures dd {
    margin-top: 0.125rem;
  }

  .figures .value {
    display: block;
    font-size: 1.625rem;
    font-weight: 650;
    font-variant-numeric: tabular-nums;
    line-height: 1.3;
    letter-spacing: -0.02em;
  }

  .charts {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr));
    gap: 1rem;
  }

  figcaption {
    display: flex;
    flex-wrap: wrap;
    gap: 0.25rem 1rem;
    justify-content: space-between;
  }

  .legend {
    display: flex;
    flex-wrap: wrap;
    gap: 0.25rem 1rem;
    padding: 0;
    color: var(--soft);
    font-size: 0.875rem;
    list-style: none;
  }

  .swatch {
    display: inline-block;
    width: 0.75rem;
    height: 0.75rem;
    margin-right: 0.4rem;
    border-radius: 0.25rem;
    background: currentColor;
    vertical-align: -0.06rem;
  }

  .c1 {
    color: light-dark(#3559c7, #7fa0ff);
  }

  .c2 {
    color: light-dark(#0b8377, #41c3b2);
  }

  .c3 {
    color: light-dark(#2a7d3c, #6cc781);
  }

  .c4 {
    color: light-dark(#bf5213, #f0975b);
  }

  .plot {
    display: grid;
    grid-template-columns: auto minmax(0, 1fr);
    gap: 0.5rem 0.625rem;
  }

  .plot svg {
    width: 100%;
    height: 11rem;
    overflow: visible;
    fill: currentColor;
  }

  .empty {
    display: grid;
    place-content: center;
    min-height: 12.5rem;
    padding: 1rem;
    border-radius: 0.5rem;
    background: var(--page);
    color: var(--soft);
    text-align: center;
  }

  .scale,
  .ticks {
    display: flex;
    justify-content: space-between;
    color: var(--soft);
    font-size: 0.75rem;
    font-variant-numeric: tabular-nums;
    line-height: 1rem;
    white-space: nowrap;
  }

  .scale {
    flex-direction: column;
    min-width: 2rem;
    margin-block: -0.5rem;
    text-align: right;
  }

  .ticks {
    grid-column: 2;
  }

  .ticks.each span {
    flex: 1 1 0;
    text-align: center;
  }

  .grid,
  .line {
    fill: none;
    vector-effect: non-scaling-stroke;
  }

  .grid {
    stroke: var(--line);
  }

  .line {
    stroke: currentColor;
    stroke-linecap: round;
    stroke-linejoin: round;
    stroke-width: 2;
  }

  .area {
    opacity: 0.12;
  }

  .column {
    fill: transparent;
  }

  .column:hover {
    fill: var(--soft);
    opacity: 0.14;
  }

  summary {
    width: fit-content;
    color: var(--soft);
    font-size: 0.875rem;
    cursor: pointer;
  }

  .scroll {
    max-height: 16rem;
    margin-top: 0.5rem;
    overflow: auto;
  }
`;
