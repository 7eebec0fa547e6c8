export { connect } from "./lib/http/connect.ts";
export { nodeHandler, type NodeListener } from "./lib/http/node-handler.ts";
