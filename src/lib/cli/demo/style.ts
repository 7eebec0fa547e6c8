import { BASE_STYLE, type Colours, colourStyle, css } from "../../dashboard/style/base.ts";
import { CONTROL_STYLE, PART_STYLE } from "./style-parts.ts";

const COLOURS: Colours = {
  page: ["#f6efe1", "#0d1614"],
  card: ["#fffdf7", "#14211e"],
  ink: ["#143a35", "#e9f2ee"],
  text: ["#1d2b28", "#e3ece8"],
  soft: ["#56655f", "#a3b5ae"],
  line: ["#dcd2bc", "#2a3d38"],
  edge: ["#143a35", "#6f8a82"],
  accent: ["#0f6b5e", "#6fd3bf"],
  "on-accent": ["#ffffff", "#07211c"],
  sun: ["#f3b61f", "#f3b61f"],
  "on-sun": ["#2a2204", "#2a2204"],
  danger: ["#a3271b", "#ff9d8f"],
  flash: ["#fdebb9", "#3a3010"],
  head: ["#143a35", "#10312c"],
  "on-head": ["#fbf4e3", "#f4ead2"],
  "soft-on-head": ["#c4d6cf", "#b7ccc4"],
  shadow: ["#143a35", "#050a09"],
};

const PAGE_STYLE = css`
  body {
    padding-bottom: 3rem;
    line-height: 1.55;
  }

  h1,
  h2 {
    color: var(--ink);
    font-family: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", "P052", Georgia, serif;
    line-height: 1.15;
  }

  h1 {
    margin-top: 2.25rem;
    color: var(--on-head);
    font-size: clamp(2.125rem, 6vw, 3.5rem);
    font-weight: 600;
    letter-spacing: -0.02em;
  }

  h2 {
    font-size: 1.5rem;
    font-weight: 600;
  }

  header {
    padding: 1rem 1.25rem 6rem;
    background: var(--head);
    color: var(--on-head);
  }

  header > * {
    max-width: 66rem;
    margin-inline: auto;
  }

  .bar {
    display: flex;
    flex-wrap: wrap;
    gap: 0.5rem 1rem;
    align-items: center;
  }

  .brand {
    display: flex;
    gap: 0.5rem;
    align-items: center;
    margin-right: auto;
    font-weight: 700;
  }

  .brand span:last-child {
    color: var(--soft-on-head);
    font-weight: 400;
  }

  .cookie {
    width: 1.5rem;
    height: 1.5rem;
    border-radius: 50%;
    background:
      radial-gradient(circle at 34% 38%, var(--head) 0 2px, transparent 2.5px),
      radial-gradient(circle at 66% 30%, var(--head) 0 1.5px, transparent 2px),
      radial-gradient(circle at 58% 68%, var(--head) 0 2.5px, transparent 3px), var(--sun);
  }

  .who {
    padding: 0.125rem 0.75rem;
    border-radius: 1rem;
    background: var(--sun);
    color: var(--on-sun);
    font-size: 0.875rem;
    font-weight: 600;
  }

  header .button {
    border-color: var(--soft-on-head);
    background: transparent;
    color: var(--on-head);
  }

  .lead {
    margin-top: 0.75rem;
    color: var(--soft-on-head);
    font-size: 1.125rem;
  }

  main {
    display: grid;
    gap: 1.25rem;
    max-width: 68.5rem;
    margin: -4rem auto 0;
    padding-inline: 1.25rem;
  }

  .card,
  .flash,
  dialog {
    min-width: 0;
    padding: 1.5rem;
    border: 1.5px solid var(--edge);
    border-radius: 0.75rem;
    background: var(--card);
    color: var(--text);
  }

  .card {
    box-shadow: 0.25rem 0.25rem 0 var(--shadow);
  }

  .card > * + *,
  dialog > * + * {
    margin-top: 0.75rem;
  }

  .flash {
    padding-block: 0.75rem;
    background: var(--flash);
  }

  .columns,
  .hero {
    display: grid;
    gap: 1.25rem;
  }

  .hero > * + * {
    margin-top: 0;
  }

  .hero form {
    margin-top: 0.75rem;
  }

  @media (min-width: 52rem) {
    .columns,
    .hero {
      grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
    }
  }

  .hint,
  dt {
    color: var(--soft);
    font-size: 0.875rem;
    font-family: system-ui, sans-serif;
    font-weight: 400;
  }
`;

/** The page's style sheet, on the system's fonts, light or dark as the browser prefers. */
export const STYLE = colourStyle(COLOURS) + BASE_STYLE + PAGE_STYLE + PART_STYLE + CONTROL_STYLE;
