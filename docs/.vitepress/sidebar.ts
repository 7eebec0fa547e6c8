/** The navigation of the site: each page once. `link` is the page's path without `.md`. test/site checks that none is missing. */
export interface Part {
  text: string;
  collapsed?: boolean;
  items: { text: string; link: string }[];
}

const page = (link: string, text: string): { text: string; link: string } => ({ text, link });

export const sidebar: Part[] = [
  {
    text: "Guides",
    items: [page("/passport", "Passport"), page("/testing", "Testing an application")],
  },
  {
    text: "Databases",
    collapsed: true,
    items: [page("/databases/schema", "The full schema")],
  },
  {
    text: "Operate",
    collapsed: true,
    items: [
      page("/operate/cli", "Command line"),
      page("/operate/dashboard", "Dashboard"),
      page("/operate/observability", "OpenTelemetry"),
    ],
  },
  {
    text: "Security",
    collapsed: true,
    items: [page("/security/threat-model", "Threat model"), page("/security/requirements", "ASVS, row by row")],
  },
  {
    text: "Migrate",
    collapsed: true,
    items: [page("/migrate/from-connect-pg-simple", "From connect-pg-simple")],
  },
  {
    text: "The project",
    collapsed: true,
    items: [
      page("/benchmarks/", "Benchmarks"),
      page("/benchmarks/profile", "Profile of a request"),
      page("/decisions/", "Decisions"),
      page("/releasing", "Releasing"),
    ],
  },
];
