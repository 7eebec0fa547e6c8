process.env.ASTRO_NODE_AUTOSTART = "disabled";
const { startServer } = await import("./dist/server/entry.mjs");
const { server } = startServer();

// Requests under way are finished first.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.server.close());
