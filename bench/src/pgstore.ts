/** pgstore as users get it: compiled. */
export * from "../../dist/index.js";
export * from "../../dist/node.js";
export { ExpressSessionStore } from "../../dist/express-session.js";
