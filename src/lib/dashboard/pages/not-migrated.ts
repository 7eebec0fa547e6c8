import type { SchemaError } from "../../core/errors.ts";
import { type Html, html } from "./html.ts";

/** Renders the message about a table that is missing, or lacks columns or privileges. */
export function notMigrated({ table, message }: SchemaError): Html {
  return html`<p>
      The table <code>${table}</code> is missing, or it lacks columns or privileges that this page needs. Migrate it
      once, from a shell:
    </p>
    ${COMMANDS}
    <details>
      <summary>Details</summary>
      <p>${message}</p>
    </details>`;
}

/** Renders the note about a table of SCS or an older pgstore. */
export function missingColumns(): Html {
  return html`<section class="card">
    <h2>Users and history are missing</h2>
    <p>
      This table has only SCS's columns. Users, their sessions and the plots over time need those that a migration adds:
    </p>
    ${COMMANDS}
  </section>`;
}

const COMMANDS = html`<pre tabindex="0" role="region" aria-label="Command"><code>npx pgstore migrate</code></pre>
  <p>or in the application, before it listens:</p>
  <pre tabindex="0" role="region" aria-label="Statement"><code>await store.migrate();</code></pre>`;
