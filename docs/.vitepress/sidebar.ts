/** A part of the navigation. `link` is a page's path without `.md`; "/recipes/" is its index. */
export interface Part {
  text: string;
  collapsed?: boolean;
  items: { text: string; link: string }[];
}

const part = (text: string, pages: Record<string, string>, collapsed = true): Part => ({
  text,
  collapsed,
  items: Object.entries(pages).map(([link, title]) => ({ text: title, link })),
});

/** Every page of the site once, the home page and single decisions aside. test/documentation.test.ts finds those that are missing. */
export const sidebar: Part[] = [
  part(
    "Start",
    {
      "/start": "A typed Express program",
      "/session": "The session",
      "/types": "Types",
      "/options": "Options",
      "/validated-data": "Validated data",
      "/errors": "Errors",
      "/troubleshooting": "Troubleshooting",
      "/works-with": "Works with",
      "/why": "Why, and a comparison",
    },
    false,
  ),
  part(
    "Guides",
    {
      "/guides/": "Frameworks and runtimes",
      "/guides/express": "Express",
      "/guides/fastify": "Fastify",
      "/guides/hono": "Hono",
      "/guides/koa": "Koa",
      "/guides/node-http": "node:http",
      "/guides/nextjs": "Next.js",
      "/guides/sveltekit": "SvelteKit",
      "/guides/astro": "Astro",
      "/guides/tanstack-start": "TanStack Start",
      "/guides/react-router": "React Router",
      "/guides/cookie-jars": "Cookie jars",
      "/guides/bun": "Bun",
      "/guides/deno": "Deno",
      "/guides/websockets": "WebSockets",
    },
    false,
  ),
  part(
    "Recipes",
    {
      "/recipes/": "All recipes",
      "/recipes/password-login": "Password login",
      "/passport": "Passport",
      "/recipes/oauth": "OAuth and OpenID Connect",
      "/recipes/flash": "Flash messages",
      "/recipes/remember-me": "Remember me",
      "/recipes/devices": "Devices",
      "/recipes/log-out-everywhere": "Log out everywhere",
      "/recipes/fresh-login": "Fresh login",
      "/recipes/anonymous-basket": "Anonymous basket",
      "/recipes/impersonation": "Impersonation",
      "/recipes/rate-limit": "Rate limit",
      "/recipes/several-managers": "Several managers",
      "/recipes/streaming": "Streaming",
      "/recipes/api-clients": "API and mobile clients",
      "/recipes/nestjs": "NestJS",
      "/recipes/trpc": "tRPC",
      "/recipes/apollo": "Apollo Server",
      "/recipes/lambda": "AWS Lambda",
      "/recipes/docker": "Docker",
      "/recipes/lazy": "Lazy sessions",
      "/testing": "Tests",
    },
    false,
  ),
  part("Databases", {
    "/databases/drivers": "Drivers",
    "/databases/orms": "ORMs",
    "/databases/poolers": "Poolers",
    "/databases/schema": "The full schema",
    "/databases/roles": "Roles",
    "/databases/partitions": "Partitions",
    "/databases/citus": "Citus",
    "/databases/own-store": "Your own store",
  }),
  part("Operate", {
    "/operate/migrate": "Create and upgrade the tables",
    "/operate/cli": "Command line",
    "/operate/dashboard": "Dashboard",
    "/operate/cleanup": "Cleanup and shutdown",
    "/operate/observability": "OpenTelemetry",
    "/operate/kubernetes": "Kubernetes",
    "/operate/many-rows": "Many rows",
  }),
  part("Security", {
    "/security/threat-model": "Threat model",
    "/security/csrf": "CSRF",
    "/security/proxies": "Proxies and caches",
    "/security/encryption": "Encryption",
    "/security/checklist": "Checklist",
    "/security/requirements": "ASVS, row by row",
  }),
  part("Migrate", {
    "/migrate/from-connect-pg-simple": "From connect-pg-simple",
    "/migrate/express-session": "From express-session",
    "/migrate/iron-session": "From iron-session",
    "/migrate/scs": "From SCS",
  }),
  part("The project", {
    "/benchmarks/": "Benchmarks",
    "/decisions/": "Decisions",
    "/releasing": "Releasing",
  }),
];
