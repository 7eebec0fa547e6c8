/** Tags style sheets, so that formatters recognise them. */
export const css = String.raw;

/** The first rules of the dashboard and the demo. Both add their own colours, light or dark as the browser prefers. */
export const BASE_STYLE = css`
  * {
    box-sizing: border-box;
    margin: 0;
  }

  body {
    background: var(--page);
    color: var(--text);
    font:
      1rem/1.5 system-ui,
      -apple-system,
      "Segoe UI",
      Roboto,
      "Helvetica Neue",
      "Noto Sans",
      sans-serif;
    overflow-wrap: anywhere;
  }

  a {
    color: var(--accent);
    text-underline-offset: 0.15em;
  }

  code {
    font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
    font-size: 0.875em;
  }

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
    width: 100%;
    min-width: 0;
  }

  button,
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    text-decoration: none;
    cursor: pointer;
  }

  .device {
    font-weight: 600;
  }

  :focus-visible {
    outline: 3px solid var(--accent);
    outline-offset: 2px;
  }
`;
