// `npm run docs` and `npm run docs:build`: installs the packages of the site, then runs a script of docs/package.json.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { installIn, runIn } from "../scripts/start-in.mjs";

const [script = "dev", ...args] = process.argv.slice(2);
const folder = dirname(fileURLToPath(import.meta.url));
installIn(folder);
runIn(folder, "npm", ["run", script, "--", ...args]);
