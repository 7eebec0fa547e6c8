import type { NextConfig } from "next";

const config: NextConfig = {
  // Not bundled: pgstore imports a database driver only when it is asked for one.
  serverExternalPackages: ["pgstore", "pg"],
};

export default config;
