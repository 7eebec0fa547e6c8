import { css } from "./base.ts";

/** Tables, which a phone shows as stacked rows. */
export const TABLE_STYLE = css`
  table {
    width: 100%;
    border-collapse: collapse;
    font-size: 0.9375rem;
  }

  th,
  td {
    padding: 0.625rem 0.75rem;
    border-bottom: 1px solid var(--line);
    text-align: left;
    font-variant-numeric: tabular-nums;
  }

  thead th {
    color: var(--soft);
    font-size: 0.8125rem;
    font-weight: 600;
  }

  .values th,
  .values td {
    padding: 0.25rem 0.75rem 0.25rem 0;
    font-weight: normal;
  }

  .data {
    border-collapse: separate;
    border-spacing: 0;
    padding: 0.25rem 0.5rem;
  }

  .data tr:last-child td {
    border-bottom: 0;
  }

  .data .current {
    background: var(--tint);
  }

  /* The columns are as wide as their times and buttons. The first has the rest, however long its texts are. */
  .sessions {
    table-layout: fixed;
  }

  .sessions :where(th, td) {
    padding-inline: 0.5rem;
  }

  .sessions th:nth-last-child(-n + 4) {
    width: 7.5rem;
  }

  .sessions th:last-child {
    width: 14rem;
  }

  @media (min-width: 72rem) {
    .sessions th:nth-last-child(-n + 4):not(:last-child) {
      width: 9.5rem;
    }
  }

  .found th:last-child {
    width: 6rem;
  }

  .found th:nth-child(2) {
    width: 24%;
  }

  .data .hint,
  .data .beside {
    display: flex;
    flex-wrap: wrap;
    gap: 0 0.75rem;
  }

  .data .button {
    min-height: 2.125rem;
    padding: 0.25rem 0.625rem;
    font-size: 0.875rem;
  }

  .users th:nth-child(n + 2) {
    width: 12rem;
  }

  .data .actions {
    flex-wrap: nowrap;
    gap: 0.375rem;
    white-space: nowrap;
  }

  .mark {
    display: inline-block;
    padding: 0 0.5rem;
    border-radius: 1rem;
    background: var(--accent);
    color: light-dark(#ffffff, #0e1730);
    font-size: 0.8125rem;
    font-weight: 600;
  }

  .facts > div {
    display: grid;
    grid-template-columns: 8rem minmax(0, 1fr);
    gap: 1rem;
    padding: 0.5rem 0;
    border-bottom: 1px solid var(--line);
  }

  .facts dt {
    color: var(--soft);
  }

  .facts dd .hint {
    display: block;
  }

  @media (max-width: 54rem) {
    .bar form {
      flex-basis: 100%;
      max-width: none;
    }

    .bar,
    main,
    footer {
      padding-inline: 0.875rem;
    }

    .figures {
      gap: 0.75rem;
    }

    .figures .card {
      padding: 0.75rem 0.875rem;
    }

    .data,
    .data tbody,
    .data tr,
    .data td {
      display: block;
    }

    .data thead {
      position: absolute;
      width: 1px;
      height: 1px;
      overflow: hidden;
      clip-path: inset(50%);
    }

    .data {
      padding: 0;
    }

    .data > * {
      margin-top: 0;
    }

    .data tr {
      padding: 0.5rem 0.875rem;
    }

    .data tr + tr {
      border-top: 1px solid var(--line);
    }

    .data td {
      padding: 0.25rem 0;
      border-bottom: 0;
    }

    .users td,
    .sessions td:not(:first-child, :last-child) {
      display: grid;
      grid-template-columns: 6.5rem minmax(0, 1fr);
      gap: 0.75rem;
      align-items: baseline;

      &::before {
        color: var(--soft);
        font-size: 0.875rem;
        content: attr(data-head);
      }
    }

    .sessions td:first-child {
      padding-bottom: 0.375rem;
    }

    .sessions td:last-child {
      padding-top: 0.5rem;
    }

    .data .button {
      min-height: 2.5rem;
    }
  }
`;
