export { dashboard, type Dashboard } from "./lib/dashboard/dashboard.ts";
export type { DashboardManager, DashboardOptions, DashboardRequest } from "./lib/dashboard/options.ts";
