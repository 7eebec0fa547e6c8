/** Tags style sheets, so that formatters recognise them. */
export const css = String.raw;

/** The rules that every page begins with. Each style sheet sets its own colours. */
export const BASE_STYLE = css`
  * {
    box-sizing: border-box;
    margin: 0;
  }

  a {
    color: var(--accent);
    text-underline-offset: 0.15em;
  }

  code {
    font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
    font-size: 0.875em;
  }
`;
