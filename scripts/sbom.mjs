/**
 * Prints what users get as a CycloneDX bill of materials: of the packed tarball, installed into an empty folder without anything
 * optional. Of the repository itself npm leaves out packages that development tools need as well.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "pgstore-sbom-"));
const npm = (args, cwd) =>
  execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 26 });

try {
  npm(["pack", "--silent", "--pack-destination", folder], root);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "user", version: "0.0.0", private: true }));
  npm(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", `./${tarball}`], folder);
  process.stdout.write(npm(["sbom", "--sbom-format", "cyclonedx", "--omit", "optional", "--omit", "peer"], folder));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
