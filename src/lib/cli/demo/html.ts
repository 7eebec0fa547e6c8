/** Text that is HTML already; everything else is escaped. */
export interface Html {
  readonly markup: string;
}

/** What a template may hold; undefined leaves nothing. */
type Content = string | number | Html | readonly Html[] | undefined;

/** A template that escapes what it is given: html`<p>${note}</p>` is safe whatever the note says. */
export function html(literals: TemplateStringsArray, ...contents: Content[]): Html {
  const parts = literals.map((literal, index) => (index === 0 ? "" : render(contents[index - 1])) + literal);
  return { markup: parts.join("") };
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (typeof content === "object")
    return [content]
      .flat()
      .map(({ markup }) => markup)
      .join("");
  return escape(String(content));
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
