/** Markup that needs no escaping. Only `html` and `inlineScript` make it. */
export interface Html {
  readonly markup: string;
}

/** A value in a template. Undefined renders nothing. */
export type Content = string | number | Html | readonly Content[] | undefined;

const ESCAPED = new WeakSet<object>();

/** Renders a template and escapes its values: html`<p>${name}</p>` is safe for any name. */
export function html(literals: TemplateStringsArray, ...contents: Content[]): Html {
  const parts = literals.map((literal, index) => (index === 0 ? "" : render(contents[index - 1])) + literal);
  const made = { markup: parts.join("") };
  ESCAPED.add(made);
  return made;
}

/** Makes an inline script of the package's own code, which must not contain "</". The page's policy allows it by its hash. */
export function inlineScript(code: string): Html {
  const made = { markup: `<script>${code}</script>` };
  ESCAPED.add(made);
  return made;
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (typeof content !== "object") return escape(String(content));
  if (!("markup" in content)) return content.map(render).join("");
  // An object of the same shape may come from outside, such as from JSON.
  if (!ESCAPED.has(content)) throw new TypeError("html: expected text or a result of html, got another object");
  return content.markup;
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
