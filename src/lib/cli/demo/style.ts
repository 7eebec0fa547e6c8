import { BASE_STYLE, css } from "../../dashboard/style/base.ts";

const PAGE_STYLE = css`
  :root {
    color-scheme: light dark;
    --page: light-dark(#f6efe1, #0d1614);
    --card: light-dark(#fffdf7, #14211e);
    --ink: light-dark(#143a35, #e9f2ee);
    --text: light-dark(#1d2b28, #e3ece8);
    --soft: light-dark(#56655f, #a3b5ae);
    --line: light-dark(#dcd2bc, #2a3d38);
    --edge: light-dark(#143a35, #6f8a82);
    --accent: light-dark(#0f6b5e, #6fd3bf);
    --on-accent: light-dark(#ffffff, #07211c);
    --sun: #f3b61f;
    --on-sun: #2a2204;
    --danger: light-dark(#a3271b, #ff9d8f);
    --flash: light-dark(#fdebb9, #3a3010);
    --head: light-dark(#143a35, #10312c);
    --on-head: light-dark(#fbf4e3, #f4ead2);
    --soft-on-head: light-dark(#c4d6cf, #b7ccc4);
    --shadow: light-dark(#143a35, #050a09);
  }

  body {
    padding-bottom: 3rem;
    line-height: 1.55;
    accent-color: var(--accent);
  }

  h1,
  h2 {
    color: var(--ink);
    font-size: 1.5rem;
    font-family: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", "P052", Georgia, serif;
    font-weight: 600;
    line-height: 1.15;
  }

  h1 {
    margin-top: 2.25rem;
    color: var(--on-head);
    font-size: clamp(2.125rem, 6vw, 3.5rem);
    letter-spacing: -0.02em;
  }

  ul,
  ol {
    padding: 0;
    list-style: none;
  }

  header {
    padding: 1rem 1.25rem 6rem;
    background: var(--head);
    color: var(--on-head);
  }

  header > * {
    max-width: 66rem;
    margin-inline: auto;
  }

  .brand {
    margin-right: auto;
    font-weight: 700;
  }

  .brand span,
  .lead {
    color: var(--soft-on-head);
    font-weight: 400;
  }

  .lead {
    margin-top: 0.75rem;
    font-size: 1.125rem;
  }

  main {
    display: grid;
    gap: 1.25rem;
    max-width: 68.5rem;
    margin: -4rem auto 0;
    padding-inline: 1.25rem;
  }

  .card,
  .flash,
  dialog {
    min-width: 0;
    padding: 1.5rem;
    border: 1.5px solid var(--edge);
    border-radius: 0.75rem;
    background: var(--card);
    color: var(--text);
  }

  .flash {
    padding-block: 0.75rem;
    background: var(--flash);
  }

  .card,
  dialog {
    box-shadow: 0.25rem 0.25rem 0 var(--shadow);
  }

  dialog {
    max-width: min(28rem, calc(100vw - 2.5rem));
    margin: auto;
  }

  dialog::backdrop {
    background: #0d1614cc;
  }

  .card > * + *,
  dialog > * + *,
  h2 + form {
    margin-top: 0.75rem;
  }

  .columns,
  .choices,
  dl {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
    gap: 1.25rem;
  }

  .choices {
    grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr));
  }

  dl {
    row-gap: 0;
  }

  dl > div {
    display: grid;
    grid-template-columns: 6.5rem minmax(0, 1fr);
    gap: 0.75rem;
    align-items: baseline;
  }

  dl > div,
  .choices,
  .row,
  .devices li,
  .notes li {
    padding-block: 0.625rem;
    border-top: 1px solid var(--line);
  }

  .bar,
  .brand,
  .check,
  .field,
  .row,
  li {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem 0.75rem;
    align-items: center;
  }

  .row,
  .choices {
    padding-bottom: 0;
  }

  .devices li {
    justify-content: space-between;
  }

  .field,
  .choices .hint {
    margin-top: 0.375rem;
  }

  .check {
    margin-top: 0.75rem;
  }

  .field input,
  li > span {
    flex: 1;
  }

  .lane {
    display: grid;
    grid-template-columns: 1fr auto;
  }

  output {
    font-variant-numeric: tabular-nums;
    font-weight: 600;
  }

  progress {
    grid-column: 1 / -1;
    width: 100%;
  }

  #overwritten {
    accent-color: var(--danger);
  }

  .steps {
    display: grid;
    gap: 0.75rem;
    align-content: center;
    margin-top: 0;
  }

  .hint,
  dt {
    color: var(--soft);
    font-size: 0.875rem;
    font-family: system-ui, sans-serif;
    font-weight: 400;
  }

  dd .hint {
    display: block;
  }

  .pill {
    padding: 0.125rem 0.625rem;
    border-radius: 1rem;
    background: var(--sun);
    color: var(--on-sun);
    font-size: 0.8125rem;
    font-weight: 600;
  }

  button,
  .button {
    font-weight: 600;
    white-space: nowrap;
  }

  button:hover:enabled,
  .button:hover {
    box-shadow: 0.125rem 0.125rem 0 var(--shadow);
  }

  button:disabled {
    opacity: 0.6;
    cursor: default;
  }

  .primary,
  .mark {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--on-accent);
  }

  .danger {
    border-color: var(--danger);
    color: var(--danger);
  }

  header .button {
    border-color: var(--soft-on-head);
    background: transparent;
    color: var(--on-head);
  }

  header :focus-visible {
    outline-color: var(--sun);
  }

  [type="checkbox"] {
    width: 1.25rem;
    min-height: 1.25rem;
  }
`;

/** The page's style sheet, on the system's fonts, light or dark as the browser prefers. */
export const STYLE = BASE_STYLE + PAGE_STYLE;
