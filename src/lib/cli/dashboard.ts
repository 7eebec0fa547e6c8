import { serveDashboard } from "../dashboard/serve.ts";
import { SessionManager } from "../manager/session-manager.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, connect } from "./connection.ts";
import { onStop } from "./terminal.ts";

/** Serves the dashboard to the first browser that opens its link. Resolves when it listens, and goes on until SIGINT or SIGTERM. */
export async function dashboardCommand(options: CommonOptions & { port?: number }): Promise<Answer> {
  const { store, location, table, close } = await connect(options);
  const shown = { manager: new SessionManager(store), title: `Sessions in ${table.quoted}` };
  const served = await serveDashboard({ ...shown, port: options.port ?? 0 }).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  onStop(() => void served.close().then(close));
  return {
    text: `Dashboard of ${table.quoted} in ${location}. Stop it with Ctrl-C. This link works once:\n${served.url}`,
    json: { url: served.url, table: table.quoted, location },
    exitCode: EXIT.ok,
  };
}
