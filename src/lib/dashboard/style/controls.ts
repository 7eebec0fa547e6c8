const css = String.raw;

/** Fields and buttons. */
export const CONTROL_STYLE = css`
  input,
  button,
  .button {
    min-height: 2.5rem;
    padding: 0.375rem 0.875rem;
    border: 1px solid var(--edge);
    border-radius: 0.5rem;
    background: var(--card);
    color: inherit;
    font: inherit;
  }

  input {
    flex: 1;
    width: 100%;
    min-width: 0;
  }

  input::placeholder {
    color: var(--soft);
    opacity: 1;
  }

  button,
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    text-decoration: none;
    cursor: pointer;
  }

  button:hover,
  .button:hover {
    background: var(--page);
  }

  .button.danger {
    border-color: var(--danger);
    color: var(--danger);
  }

  button.danger {
    border-color: var(--danger);
    background: var(--danger);
    color: var(--on-danger);
    font-weight: 600;
  }

  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem;
  }

  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
  }
`;
