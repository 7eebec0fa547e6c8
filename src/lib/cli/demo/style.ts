/** The page's style sheet. */
export const STYLE = `:root {
  color-scheme: light dark;
  --page: #f4f6f8;
  --card: #ffffff;
  --line: #d5dbe1;
  --edge: #7b8794;
  --text: #1d2733;
  --soft: #56626f;
  --accent: #245a8d;
  --on-accent: #ffffff;
  --danger: #a32020;
  --flash: #e3eef8;
}

@media (prefers-color-scheme: dark) {
  :root {
    --page: #12171d;
    --card: #1b222a;
    --line: #323c47;
    --edge: #6d7a88;
    --text: #e4e9ee;
    --soft: #a2aebb;
    --accent: #86b9e8;
    --on-accent: #0d1a26;
    --danger: #f09a94;
    --flash: #1d3447;
  }
}

* {
  box-sizing: border-box;
  margin: 0;
}

body {
  max-width: 64rem;
  margin: 0 auto;
  padding: 2rem 1rem 3rem;
  background: var(--page);
  color: var(--text);
  font-family: system-ui, sans-serif;
  line-height: 1.5;
  overflow-wrap: anywhere;
}

h2 {
  margin-bottom: 0.75rem;
  font-size: 1.2rem;
}

header {
  margin-bottom: 1.5rem;
}

header p,
dt,
.hint {
  color: var(--soft);
}

.hint {
  font-size: 0.875rem;
  font-weight: normal;
}

.columns,
.columns > div {
  display: grid;
  gap: 1rem;
  align-items: start;
}

@media (min-width: 52rem) {
  .columns {
    grid-template-columns: 1fr 1fr;
  }
}

section,
.flash {
  min-width: 0;
  padding: 1.25rem;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
  background: var(--card);
}

p + p {
  margin-top: 0.75rem;
}

.flash {
  margin-bottom: 1rem;
  padding-block: 0.75rem;
  border-color: var(--accent);
  background: var(--flash);
}

label {
  display: block;
  width: fit-content;
  padding: 0.25rem 0;
}

.check {
  display: flex;
  gap: 0.5rem;
  align-items: center;
  margin-top: 0.75rem;
}

input,
button,
.button {
  padding: 0.5rem 0.75rem;
  border: 1px solid var(--edge);
  border-radius: 0.375rem;
  background: var(--page);
  color: inherit;
  font: inherit;
}

[type="checkbox"] {
  flex: none;
  width: 1.125rem;
  height: 1.125rem;
  accent-color: var(--accent);
}

button,
.button {
  display: inline-block;
  background: transparent;
  text-decoration: none;
  cursor: pointer;
}

button:hover,
.button:hover {
  text-decoration: underline;
}

button.primary {
  border-color: var(--accent);
  background: var(--accent);
  color: var(--on-accent);
}

button.danger {
  border-color: var(--danger);
  color: var(--danger);
}

:focus-visible {
  outline: 3px solid var(--accent);
  outline-offset: 2px;
}

.field,
.choice,
li,
dl > div {
  display: grid;
  grid-template-columns: 1fr auto;
  gap: 0.75rem;
  align-items: center;
}

.choice,
dl > div {
  grid-template-columns: 7rem 1fr;
}

.choice + .choice {
  margin-top: 0.75rem;
}

ul,
dl {
  margin: 0.75rem 0;
  padding: 0;
}

li,
dl > div {
  align-items: baseline;
  padding: 0.5rem 0;
  border-top: 1px solid var(--line);
}

dd .hint {
  display: block;
}

code {
  font-size: 0.875rem;
  word-break: break-all;
}
`;
