import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { dashboard } from "../../../dist/dashboard.js";
import { PgStore, SessionManager } from "../pgstore.ts";
import { BUSY } from "./table.ts";

/** Something an operator or a user does, and what it must answer to be right. */
export interface Step {
  name: string;
  /** It may take longer, and shows how far it is. */
  slow?: boolean;
  /** @throws when the answer is wrong */
  run(): Promise<void>;
}

const command = fileURLToPath(new URL("../../../dist/cli.js", import.meta.url));

/** Everything that is asked of five million rows, in an order in which each finds what it needs. */
export function stepsOn(url: string, pool: pg.Pool): Step[] {
  const store = new PgStore(pool, { cleanupInterval: 0, queryTimeout: "10m" });
  const manager = new SessionManager<{ n: number }>(store, { maxSessionsPerUser: BUSY.sessions });
  const page = dashboard(manager, { authorize: () => true });
  const look = (path: string, expected: string): Step => ({
    name: `dashboard /${path}`,
    async run() {
      const response = await page(new Request(new URL(path, "http://127.0.0.1/")));
      expect(response.status === 200 && (await response.text()).includes(expected), `no ${expected} in ${path}`);
    },
  });
  const pgstore = (args: string[], codes = [0], slow = false): Step => ({
    name: `npx pgstore ${args.join(" ")}`,
    slow,
    run: async () => {
      const code = await runCommand([...args, "--url", url]);
      expect(code !== null && codes.includes(code), `the exit code of ${args.join(" ")} was ${code}`);
    },
  });
  const busy = encodeURIComponent(BUSY.userId);
  const login = async (userId: string): Promise<void> => {
    const session = await manager.load();
    session.set("n", 1);
    await session.login(userId);
    await manager.commit(session);
    expect((await manager.load(session.token)).userId === userId, "the login was not stored");
  };
  return [
    look("", "Live sessions"),
    look("?range=hour", "Live sessions"),
    look("?range=week", "Live sessions"),
    look("users?q=user12%40", "user12@example.com"),
    look("users?q=", "busy@example.com"),
    look(`user?id=${busy}`, BUSY.userId),
    look(`end?user=${busy}`, BUSY.userId),
    pgstore(["migrate"]),
    // With 1 it has found what waits for the cleanup.
    pgstore(["check"], [0, 1]),
    pgstore(["stats"]),
    pgstore(["list", "--user", BUSY.userId]),
    pgstore(["revoke", "--user", "user7@example.com", "--yes"]),
    pgstore(["cleanup", "--dry-run"], [0], true),
    { name: "a login, and its session loaded", run: () => login("user8@example.com") },
    { name: "one login more than a user may have, of 10,000", run: () => login(BUSY.userId) },
    {
      name: "listByUser, all 10,000",
      run: async () =>
        expect((await manager.listByUser(BUSY.userId)).length === BUSY.sessions, "not 10,000 in the list"),
    },
    {
      name: "destroyByUser, all 10,000",
      run: async () => expect((await manager.destroyByUser(BUSY.userId)) === BUSY.sessions, "not 10,000 ended"),
    },
    pgstore(["check", "--deep"], [0, 1], true),
    pgstore(["cleanup"], [0], true),
  ];
}

/** Resolves to the exit code; what it prints is not looked at here. */
function runCommand(args: string[]): Promise<number | null> {
  const child = spawn(process.execPath, [command, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  return new Promise((resolve, reject) => child.on("error", reject).on("exit", resolve));
}

function expect(isRight: boolean, wrong: string): void {
  if (!isRight) throw new Error(wrong);
}
