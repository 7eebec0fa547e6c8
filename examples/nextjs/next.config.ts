import type { NextConfig } from "next";

const config: NextConfig = {
  // pgstore must not be bundled, because it imports a database driver only when one is needed.
  serverExternalPackages: ["pgstore", "pg"],
};

export default config;
