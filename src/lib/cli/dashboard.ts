import { type ServedDashboard, serveDashboard } from "../dashboard/serve.ts";
import { SessionManager } from "../manager/session-manager.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, connect } from "./connection.ts";
import { UsageError } from "./failures.ts";

/** What `dashboard` takes besides. */
export interface DashboardCommandOptions extends CommonOptions {
  port?: number;
}

/** Serves the dashboard to whoever opens its link first, and goes on doing so after it has answered. */
export async function dashboardCommand(options: DashboardCommandOptions): Promise<Answer> {
  const { store, location, table, close } = await connect(options);
  let served: ServedDashboard;
  try {
    const manager = new SessionManager(store);
    served = await serveDashboard({ manager, port: options.port ?? 0, title: `Sessions in ${table.quoted}` });
  } catch (error) {
    await close();
    throw (error as { code?: unknown }).code === "EADDRINUSE" ? new UsageError(`port ${options.port} is taken`) : error;
  }
  const stop = (): void => {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
    void served.close().then(close);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return {
    text: `The dashboard of ${table.quoted} in ${location}, until Ctrl-C. This link opens it, once:\n${served.url}`,
    json: { url: served.url, table: table.quoted, location },
    exitCode: EXIT.ok,
  };
}
