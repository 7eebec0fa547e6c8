import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startIn } from "../scripts/start-in.mjs";

startIn(dirname(fileURLToPath(import.meta.url)), join("src", "millions", "main.ts"));
