/** A process that carries out random operations on few rows, and tells its parent what it saw. */
import { type Owner, PgStore, PgStoreError, SessionManager } from "../../src/index.ts";
import { clients, type Driver } from "../support/clients.ts";
import { seeded } from "../support/random.ts";
import type { Operation } from "./history.ts";

const {
  MODEL_URL = "",
  MODEL_DRIVER = "",
  MODEL_NAME = "",
  MODEL_SEED,
  MODEL_WORKERS,
  MODEL_OPERATIONS,
  MODEL_TOKENS,
} = process.env;
const tokens = (MODEL_TOKENS ?? "").split(",");
const client = await clients[MODEL_DRIVER as Driver](MODEL_URL, { max: 4, name: "model" });
const store = new PgStore(client.db, { cleanupInterval: 0, batch: { rows: 8, statements: 2 } });
const manager = new SessionManager(store);
const history: Operation[] = [];
const now = (): number => Number(process.hrtime.bigint());
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const later = (): Date => new Date(Date.now() + 3_600_000);
let writes = 0;

const USERS = ["ada", "bob"];
const TAGS = ["s1", "s2"];
/** Data say whose they are: "n@user#tag", "n@user" or "n". */
const ownerIn = (data: string): Owner | undefined => {
  const [, userId, tag] = /@(\w+)(?:#(\w+))?$/.exec(data) ?? [];
  return userId === undefined ? undefined : { userId, tags: tag === undefined ? undefined : [tag] };
};

async function record(one: Omit<Operation, "from" | "to">, call: () => Promise<Partial<Operation>>): Promise<void> {
  const from = now();
  let outcome: Partial<Operation> = {};
  try {
    outcome = await call();
  } catch (error) {
    if (!(error instanceof PgStoreError) || error.code !== "STORE_UNAVAILABLE") throw error;
  }
  history.push({ ...one, ...outcome, from, to: now() });
}

async function work(worker: number): Promise<void> {
  const random = seeded(Number(MODEL_SEED) * 1000 + worker);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  /** What this worker saw last of each row, on which it builds. */
  const last = new Map<string, string>();
  for (let n = 0; n < Number(MODEL_OPERATIONS); n++) {
    const number = `${MODEL_NAME}.${worker}.${writes++}`;
    const kind = pick([
      "find",
      "find",
      "create",
      "create",
      "replace",
      "replace",
      "replace",
      "touch",
      "delete",
      "terminate",
      "renew",
      "renew",
      pick(["destroyByUser", "destroyByTag"] as const),
    ] as const);
    // On a row that it has seen, if it can: on others they do nothing.
    const token = pick((kind === "replace" || kind === "renew") && last.size > 0 ? [...last.keys()] : tokens);
    const previous = last.get(token) ?? "nothing";
    const isLogin = (kind === "create" || kind === "renew") && random() < 0.6;
    const begun = random() < 0.2 ? { userId: pick(USERS) } : { userId: pick(USERS), tag: pick(TAGS) };
    const own = previous.slice(previous.search(/@|$/));
    const data =
      number + (isLogin ? `@${begun.userId}${"tag" in begun ? `#${begun.tag}` : ""}` : kind === "create" ? "" : own);
    const login = isLogin ? begun : {};
    const owner = ownerIn(data);
    switch (kind) {
      case "find":
        await record({ kind, token }, async () => {
          const row = await store.find(token);
          const found = row === undefined ? null : new TextDecoder().decode(row.data);
          if (found === null) last.delete(token);
          else last.set(token, found);
          return { found };
        });
        break;
      case "create":
        await record({ kind, token, data, ...login }, async () => {
          const done = (await store.create(token, bytes(data), later(), { owner })) === true;
          if (done) last.set(token, data);
          return { done };
        });
        break;
      case "replace":
        await record({ kind, token, previous, data }, async () => {
          const done = await store.replace(token, bytes(previous), bytes(data), later());
          if (done) last.set(token, data);
          else last.delete(token);
          return { done };
        });
        break;
      case "touch":
        await record({ kind, token }, async () => ({ done: await store.touch(token, later()) }));
        break;
      case "delete":
        await record({ kind, token }, async () => ({ done: await store.delete(token) }));
        break;
      case "terminate":
        // Its answer may be that of a second attempt, which finds nothing.
        await record({ kind, token }, async () => ({
          done: (await store.terminate(token, "destroyed")) !== undefined,
        }));
        break;
      case "destroyByUser":
      case "destroyByTag": {
        const whose = pick(kind === "destroyByUser" ? USERS : TAGS);
        await record({ kind, token: whose }, async () => ({ done: (await manager[kind](whose)) > 0 }));
        break;
      }
      case "renew": {
        const newToken = `new ${data}`;
        const row = [token, newToken, bytes(previous), bytes(data), later()] as const;
        await record({ kind, token, previous, data, newToken, ...login }, async () => {
          const done = (await store.renew(...row, { owner: owner && { ...owner, goesOn: !isLogin } })) === true;
          // It is over or has changed, whichever it is.
          last.delete(token);
          return { done };
        });
        break;
      }
    }
  }
}

await Promise.all(Array.from({ length: Number(MODEL_WORKERS) }, (_, worker) => work(worker)));
await store.close();
await client.close();
process.send?.(history, () => process.disconnect());
