/** Text that is markup already; everything else is escaped. */
export interface Html {
  readonly markup: string;
}

/** What a template may hold; undefined leaves nothing. */
export type Content = string | number | Html | readonly Content[] | undefined;

const ESCAPED = new WeakSet<object>();

/** A template that escapes what it is given: html`<p>${name}</p>` is safe whatever the name is. */
export function html(literals: TemplateStringsArray, ...contents: Content[]): Html {
  const parts = literals.map((literal, index) => (index === 0 ? "" : render(contents[index - 1])) + literal);
  const made = { markup: parts.join("") };
  ESCAPED.add(made);
  return made;
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (typeof content !== "object") return escape(String(content));
  if (isList(content)) return content.map(render).join("");
  // An object of the same shape that comes from elsewhere is no markup of ours.
  if (!ESCAPED.has(content)) throw new TypeError("html: only what html made goes in unescaped");
  return content.markup;
}

function isList(content: object): content is readonly Content[] {
  return Array.isArray(content);
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
