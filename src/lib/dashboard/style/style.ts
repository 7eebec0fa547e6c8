import { BASE_STYLE, css } from "./base.ts";
import { CHART_STYLE } from "./charts.ts";
import { TABLE_STYLE } from "./tables.ts";

const PAGE_STYLE = css`
  :root {
    color-scheme: light dark;
    --page: light-dark(#f4f5f8, #0f1319);
    --card: light-dark(#ffffff, #171d26);
    --line: light-dark(#dfe3ea, #2a3340);
    --edge: light-dark(#7d8798, #717d90);
    --text: light-dark(#1a2130, #e6eaf1);
    --soft: light-dark(#566073, #a5b0c0);
    --accent: light-dark(#3559c7, #93b0ff);
    --tint: light-dark(#e9eefc, #1e2a47);
    --danger: light-dark(#b3261e, #ff9c92);
  }

  header {
    border-bottom: 1px solid var(--line);
    background: var(--card);
  }

  .bar,
  main,
  footer {
    max-width: 78rem;
    margin: 0 auto;
    padding: 0 1.25rem;
  }

  .bar,
  .heading,
  .actions,
  .pager {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
    align-items: center;
  }

  .bar {
    column-gap: 1.5rem;
    padding-block: 0.625rem;
  }

  .brand {
    font-weight: 650;
  }

  .bar nav {
    display: flex;
    gap: 0.25rem;
  }

  nav a:not(.button) {
    padding: 0.375rem 0.75rem;
    border-radius: 0.5rem;
    color: var(--soft);
    text-decoration: none;
  }

  nav a:hover {
    color: var(--text);
    background: var(--page);
  }

  nav a[aria-current] {
    background: var(--tint);
    color: var(--accent);
    font-weight: 600;
  }

  .bar form {
    display: flex;
    flex: 1 1 16rem;
    gap: 0.5rem;
    max-width: 28rem;
    margin-left: auto;
  }

  .bar.status {
    justify-content: space-between;
    padding-block: 0.25rem 0.5rem;
    color: var(--soft);
    font-size: 0.8125rem;
    font-variant-numeric: tabular-nums;
  }

  .status .place {
    color: var(--text);
    font-weight: 600;
  }

  .refresh > span {
    margin-right: 0.375rem;
  }

  .bar nav.refresh {
    gap: 0.125rem;
    align-items: center;
  }

  .bar nav.refresh a {
    min-height: 1.5rem;
    padding: 0.125rem 0.5rem;
    border-radius: 0.375rem;
  }

  main {
    padding-block: 1.5rem 1rem;
    outline: none;
  }

  main > * + *,
  .card > * + * {
    margin-top: 1rem;
  }

  footer {
    padding-block: 1rem 2.5rem;
    color: var(--soft);
    font-size: 0.875rem;
  }

  h1 {
    font-size: 1.5rem;
    font-weight: 650;
    line-height: 1.25;
    letter-spacing: -0.01em;
  }

  h2 {
    font-size: 1rem;
    font-weight: 600;
  }

  pre {
    overflow-x: auto;
    padding: 0.75rem 1rem;
    border: 1px solid var(--line);
    border-radius: 0.5rem;
    background: var(--page);
  }

  .card {
    min-width: 0;
    padding: 1.125rem 1.25rem;
    border: 1px solid var(--line);
    border-radius: 0.75rem;
    background: var(--card);
  }

  .narrow {
    max-width: 46rem;
  }

  .heading {
    gap: 0.75rem 1.5rem;
    justify-content: space-between;
  }

  .heading p {
    margin-top: 0.25rem;
  }

  .sort {
    display: flex;
    gap: 0.625rem;
    align-items: center;
    color: var(--soft);
    font-size: 0.875rem;
    white-space: nowrap;
  }

  .soft,
  .hint {
    color: var(--soft);
  }

  .hint {
    font-size: 0.8125rem;
    line-height: 1.35;
  }

  .flash,
  .warning {
    padding: 0.75rem 1.25rem;
    border-radius: 0.75rem;
    background: var(--tint);
  }

  .warning {
    background: light-dark(#fdf1dc, #3a2c10);
  }

  .skip:not(:focus),
  .unseen {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }

  input {
    flex: 1;
  }

  input::placeholder {
    color: var(--soft);
    opacity: 1;
  }

  button:hover,
  .button:hover {
    background: var(--page);
  }

  button.danger {
    border-color: var(--danger);
    background: var(--danger);
    color: light-dark(#ffffff, #3a0b07);
    font-weight: 600;
  }
`;

/** The style sheet: plain, on the system's fonts, light or dark as the browser prefers. Nothing in it moves. */
export const STYLE = BASE_STYLE + PAGE_STYLE + CHART_STYLE + TABLE_STYLE;
