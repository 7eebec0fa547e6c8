// A process with one of the servers: node server.ts <id>, the URLs of PostgreSQL and Redis in its environment.
import { answerQuestions } from "../env/child.ts";
import { contextOf } from "./app.ts";
import { APPS } from "./apps.ts";

export type ServerQuestion = "port" | "cpu";

const app = APPS.find(({ id }) => id === process.argv[2]);
if (app === undefined) throw new TypeError("there is no such server");
const { DATABASE_URL = "", REDIS_URL = "" } = process.env;
const start = await app.load();
const port = start(contextOf(DATABASE_URL, REDIS_URL));

answerQuestions((question: ServerQuestion) => (question === "port" ? port : process.cpuUsage()));
