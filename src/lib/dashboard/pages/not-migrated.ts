import type { SchemaError } from "../../core/errors.ts";
import { type Html, html } from "./html.ts";
import { codeBlock, type Frame, PAGES } from "./layout.ts";

/** Returns the page about a table that is missing, or lacks columns or privileges. */
export function notMigrated({ table, message }: SchemaError): Pick<Frame, "heading" | "main"> {
  const heading = "The table is not ready";
  const main = html`<h1>${heading}</h1>
    <section class="card narrow">
      <p>
        The table <code>${table}</code> is missing, or it lacks columns or privileges that this page needs. Migrate it
        once, from a shell:
      </p>
      ${commands()}
      <details>
        <summary>Details</summary>
        <p>${message}</p>
      </details>
      <p><a href="${PAGES.overview}">To the overview</a></p>
    </section>`;
  return { heading, main };
}

/** Renders the note about a table of SCS or an older pgstore. */
export function missingColumns(): Html {
  return html`<section class="card">
    <h2>Users and history are missing</h2>
    <p>
      This table has only SCS's columns. Users, their sessions and the plots over time need those that a migration adds:
    </p>
    ${commands()}
  </section>`;
}

function commands(): Html {
  return html`${codeBlock("Command", "npx pgstore migrate")}
    <p>or in the application, before it listens:</p>
    ${codeBlock("Statement", "await store.migrate();")}`;
}
