/** Markup that needs no escaping. Only this file makes it, because an object of the same shape may come from outside, such as from JSON. */
class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}
export type { Html };

/** A value in a template. Undefined and false render nothing. */
export type Content = string | number | Html | readonly Content[] | undefined | false;

/** Renders a template and escapes its values: html`<p>${name}</p>` is safe for any name. */
export function html(literals: TemplateStringsArray, ...contents: Content[]): Html {
  const parts = literals.map((literal, index) => (index === 0 ? "" : render(contents[index - 1])) + literal);
  return new Html(parts.join(""));
}

/** Makes an inline script of the package's own code, which must not contain "</". The page's policy allows it by its hash. */
export function inlineScript(code: string): Html {
  return new Html(`<script>${code}</script>`);
}

function render(content: Content): string {
  if (content === undefined || content === false) return "";
  if (content instanceof Html) return content.markup;
  if (typeof content !== "object") return escape(String(content));
  if (!Array.isArray(content)) throw new TypeError("html: expected text or a result of html, got another object");
  return content.map(render).join("");
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
