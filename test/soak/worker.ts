/** A process that works on the sessions of all, by the public functions of a manager, and tells its parent what it saw. */
import { setTimeout as sleep } from "node:timers/promises";
import { PgStore, PgStoreError, type Session, SessionManager } from "../../src/index.ts";
import { clients, type Driver } from "../support/clients.ts";
import { seeded } from "../support/random.ts";
import type { SoakEvent } from "./event.ts";

type Data = Record<string, unknown>;

const {
  SOAK_URL = "",
  SOAK_DRIVER = "",
  SOAK_NAME = "",
  SOAK_TASKS = "",
  SOAK_SLOTS = "",
  SOAK_SEED = "",
} = process.env;
const client = await clients[SOAK_DRIVER as Driver](SOAK_URL, { max: 4, name: "soak" });
const store = new PgStore(client.db, { cleanupInterval: "5s", onError: () => {} });
const manager = new SessionManager<Data>(store, { idleTimeout: "1h", touchAfter: 0 });

/** The token of each slot's session, as the parent told last; undefined: somebody should begin one. */
const slots: (string | undefined)[] = Array.from({ length: Number(SOAK_SLOTS) }, () => undefined);
const names = new Map<string, string>();
const state = { isRunning: true };
let made = 0;

process.on("message", (message: { slot: number; token: string | undefined; name: string } | "stop") => {
  if (message === "stop") state.isRunning = false;
  else {
    slots[message.slot] = message.token;
    if (message.token !== undefined) names.set(message.token, message.name);
  }
});
process.on("disconnect", () => process.exit());

const now = (): number => Number(process.hrtime.bigint());

function nameOf(token: string | undefined): string {
  return names.get(token ?? "") ?? "unknown";
}

/** Gives a token a name, and hands it to everybody. */
function share(slot: number, token: string | undefined): string {
  const name = `${SOAK_NAME}.${made++}`;
  if (token !== undefined) names.set(token, name);
  slots[slot] = token;
  process.send?.({ slot, token, name });
  return name;
}

/** Carries something out and tells how it went. @param act - resolves to what the event also says */
async function record(
  event: Omit<SoakEvent, "from" | "to" | "outcome">,
  act: () => Promise<Partial<SoakEvent>>,
): Promise<SoakEvent> {
  const from = now();
  let more: Partial<SoakEvent> = { outcome: "unknown" };
  try {
    more = { outcome: "done", ...(await act()) };
  } catch (error) {
    if (!(error instanceof PgStoreError)) throw error;
  }
  const told = { ...event, ...more, from, to: now() } as SoakEvent;
  process.send?.({ event: told });
  return told;
}

const dropped = (session: Session<Data>): Partial<SoakEvent> =>
  session.status === "destroyed" ? { outcome: "dropped" } : {};

async function begin(slot: number): Promise<void> {
  const session = await manager.load();
  const id = `${SOAK_NAME}.s${made++}`;
  session.set("owner", id);
  const name = `${SOAK_NAME}.${made++}`;
  const { outcome } = await record({ kind: "create", token: name, session: id }, async () => {
    await manager.commit(session);
    return {};
  });
  if (outcome !== "done" || session.token === undefined) return;
  names.set(session.token, name);
  slots[slot] = session.token;
  process.send?.({ slot, token: session.token, name });
}

async function step(random: () => number, key: string, counts: Map<string, number>): Promise<void> {
  const slot = Math.floor(random() * slots.length);
  const token = slots[slot];
  if (token === undefined) {
    await begin(slot);
    return;
  }
  const name = nameOf(token);
  let session: Session<Data> | undefined;
  const read = await record({ kind: "read", token: name, session: undefined }, async () => {
    session = await manager.load(token);
    const { owner, ...values } = Object.fromEntries(session.keys().map((one) => [one, session?.get(one)]));
    return { session: owner as string | undefined, values: values as Record<string, number> };
  });
  if (read.outcome !== "done" || session === undefined) return;
  if (read.session === undefined) {
    if (slots[slot] === token) share(slot, undefined);
    return;
  }
  const loaded = session;
  const about = { token: name, session: read.session };
  const choice = random();
  if (choice < 0.35) {
    const value = (counts.get(read.session) ?? 0) + 1;
    counts.set(read.session, value);
    await record({ kind: "set", ...about, key, value }, async () => {
      loaded.set(key, value);
      await manager.commit(loaded);
      return dropped(loaded);
    });
  } else if (choice < 0.65) {
    await record({ kind: "update", ...about }, async () => {
      loaded.update("n", (n) => ((n as number | undefined) ?? 0) + 1);
      await manager.commit(loaded);
      return dropped(loaded);
    });
  } else if (choice < 0.72) {
    const next = `${SOAK_NAME}.${made++}`;
    const isLogin = choice >= 0.69;
    const event = await record({ kind: "renew", ...about, next, isLogin }, async () => {
      if (isLogin) await loaded.login(`user of ${read.session}`, { tags: [`tag of ${read.session}`] });
      else await loaded.renewToken();
      return loaded.get("owner") === undefined ? { outcome: "dropped" } : dropped(loaded);
    });
    if (event.outcome === "done" && loaded.token !== undefined) {
      names.set(loaded.token, next);
      slots[slot] = loaded.token;
      process.send?.({ slot, token: loaded.token, name: next });
    } else if (event.outcome === "dropped" && loaded.status !== "destroyed") {
      // A login of somebody whose session had ended: another session, which nobody here follows. Its end is also that of what the
      // presented one goes on as.
      await record({ kind: "destroy", ...about }, async () => {
        await loaded.destroy();
        return {};
      });
    }
  } else if (choice < 0.74) {
    const event = await record({ kind: "destroy", ...about }, async () => {
      await loaded.destroy();
      return {};
    });
    if (event.outcome === "done" && slots[slot] === token) share(slot, undefined);
  } else if (choice < 0.76) {
    const by = choice < 0.746 ? "id" : choice < 0.753 ? "user" : "tag";
    await record({ kind: "revoke", ...about, by }, async () => {
      if (by === "id") await manager.destroyById(loaded.id ?? "");
      else if (by === "user") await manager.destroyByUser(`user of ${read.session}`);
      else await manager.destroyByTag(`tag of ${read.session}`);
      return {};
    });
  }
}

async function task(index: number): Promise<void> {
  const random = seeded(Number(SOAK_SEED) * 1000 + index);
  const counts = new Map<string, number>();
  while (state.isRunning) {
    await step(random, `${SOAK_NAME}.${index}`, counts);
    await sleep(random() * 60);
  }
}

await Promise.all(Array.from({ length: Number(SOAK_TASKS) }, (_, index) => task(index)));
await store.close();
await client.close();
process.send?.("finished", () => process.disconnect());
