// A process with one of the servers: node server.ts <id>, the URLs of PostgreSQL and Redis in its environment.
import { answerQuestions } from "../env/child.ts";
import { contextOf } from "./app.ts";
import { APPS } from "./apps.ts";
import { type Profile, startProfile } from "./profile.ts";

/** "profile" begins one, "profiled" ends it. */
export type ServerQuestion = "port" | "cpu" | "profile" | "profiled";

const app = APPS.find(({ id }) => id === process.argv[2]);
if (app === undefined) throw new TypeError("there is no such server");
const { DATABASE_URL = "", REDIS_URL = "" } = process.env;
const start = await app.load();
const port = start(contextOf(DATABASE_URL, REDIS_URL));

let finish: (() => Promise<Profile>) | undefined;

answerQuestions(async (question: ServerQuestion) => {
  if (question === "port") return await port;
  if (question === "cpu") return process.cpuUsage();
  if (question === "profiled") return await finish?.();
  finish = await startProfile();
  return undefined;
});
