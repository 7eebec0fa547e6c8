export { dashboard, type Dashboard } from "./lib/dashboard/dashboard.ts";
export type {
  DashboardManager,
  DashboardOptions,
  DashboardRequest,
  DescribedUsers,
  UserDescription,
} from "./lib/dashboard/options.ts";
