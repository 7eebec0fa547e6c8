import { css } from "../../dashboard/style/base.ts";

/** Lists, the race and the dialog. */
export const PART_STYLE = css`
  .steps {
    display: grid;
    gap: 0.75rem;
    align-content: center;
    padding: 0;
    counter-reset: step;
    list-style: none;
  }

  .steps li {
    display: grid;
    grid-template-columns: 2rem minmax(0, 1fr);
    gap: 0.75rem;
    align-items: start;
    counter-increment: step;
  }

  .steps li::before {
    width: 2rem;
    height: 2rem;
    border-radius: 50%;
    background: var(--sun);
    color: var(--on-sun);
    font-weight: 700;
    line-height: 2rem;
    text-align: center;
    content: counter(step);
  }

  .devices,
  .notes {
    padding: 0;
    list-style: none;
  }

  .devices li,
  .notes li {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem 1rem;
    align-items: center;
    justify-content: space-between;
    padding: 0.75rem 0;
    border-top: 1px solid var(--line);
  }

  .notes li {
    flex-wrap: nowrap;
    padding-block: 0.375rem;
  }

  .mark {
    display: inline-block;
    padding: 0 0.625rem;
    border-radius: 1rem;
    background: var(--accent);
    color: var(--on-accent);
    font-size: 0.8125rem;
  }

  .row {
    display: flex;
    flex-wrap: wrap;
    gap: 0.625rem;
    padding-top: 0.75rem;
    border-top: 1px solid var(--line);
  }

  .lane {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 0.25rem 0.75rem;
  }

  .lane output {
    font-variant-numeric: tabular-nums;
    font-weight: 600;
  }

  .lane progress {
    grid-column: 1 / -1;
    grid-row: 2;
  }

  progress {
    width: 100%;
    height: 0.75rem;
    border: 0;
    border-radius: 1rem;
    overflow: hidden;
    background: var(--line);
    accent-color: var(--accent);
    appearance: none;
  }

  progress::-webkit-progress-bar {
    background: var(--line);
  }

  progress::-webkit-progress-value {
    background: var(--accent);
  }

  progress::-moz-progress-bar {
    background: var(--accent);
  }

  #overwritten::-webkit-progress-value {
    background: var(--danger);
  }

  #overwritten::-moz-progress-bar {
    background: var(--danger);
  }

  dl {
    display: grid;
    gap: 0 1.25rem;
  }

  dl > div {
    display: grid;
    grid-template-columns: 6.5rem minmax(0, 1fr);
    gap: 0.75rem;
    align-items: baseline;
    padding: 0.5rem 0;
    border-top: 1px solid var(--line);
  }

  .choices {
    display: grid;
    gap: 1rem 1.25rem;
    padding-top: 1rem;
    border-top: 1px solid var(--line);
  }

  .choice > .hint {
    margin-top: 0.375rem;
  }

  @media (min-width: 52rem) {
    dl {
      grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    }

    .choices {
      grid-template-columns: repeat(3, minmax(0, 1fr));
    }
  }

  dd .hint {
    display: block;
  }

  dialog {
    max-width: min(28rem, calc(100vw - 2.5rem));
    margin: auto;
    border-width: 2px;
    box-shadow: 0.5rem 0.5rem 0 var(--shadow);
  }

  dialog::backdrop {
    background: #0d1614cc;
  }
`;

/** Fields and buttons. */
export const CONTROL_STYLE = css`
  label {
    display: block;
  }

  .check {
    display: flex;
    gap: 0.5rem;
    align-items: center;
    width: fit-content;
    margin-top: 0.75rem;
  }

  .field {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 0.625rem;
    margin-top: 0.25rem;
  }

  input,
  button,
  .button {
    border-width: 1.5px;
  }

  [type="checkbox"] {
    width: 1.25rem;
    min-height: 1.25rem;
    accent-color: var(--accent);
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

  .primary {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--on-accent);
  }

  .danger {
    border-color: var(--danger);
    color: var(--danger);
  }

  header :focus-visible {
    outline-color: var(--sun);
  }
`;
