export { connect, type WithSession } from "./lib/http/connect.ts";
export { nodeHandler, type NodeHandler, type NodeListener } from "./lib/http/node-handler.ts";
export type { PropertyOptions } from "./lib/http/property.ts";
export { fromUpgrade, type UpgradedSession, type UpgradeOptions } from "./lib/http/upgrade.ts";
