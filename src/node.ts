export { connect, type WithSession } from "./lib/adapters/connect.ts";
export { nodeHandler, type NodeHandler, type NodeListener } from "./lib/adapters/node.ts";
export type { PropertyOptions } from "./lib/adapters/property.ts";
export { fromUpgrade, type UpgradedSession, type UpgradeOptions } from "./lib/adapters/websocket.ts";
