/** A server to race on. */
export interface RaceApp {
  url: string;
  gate: Gate;
  close(): Promise<void>;
}

/** Holds requests between their session's load and their change of it. */
export class Gate {
  #arrived = 0;
  #open: () => void = () => {};
  #opened: Promise<void> = Promise.resolve();
  #awaited: { count: number; resolve: () => void } | undefined;

  /** From now on requests wait. Resolves when as many of them have come. */
  shut(count: number): Promise<void> {
    this.#arrived = 0;
    this.#opened = new Promise((resolve) => (this.#open = resolve));
    return new Promise((resolve) => (this.#awaited = { count, resolve }));
  }

  open(): void {
    this.#open();
  }

  async pass(): Promise<void> {
    this.#arrived++;
    if (this.#arrived === this.#awaited?.count) this.#awaited.resolve();
    await this.#opened;
  }
}

/** What a server does for `/slow/KEY`, `/login`, `/logout` and `/show`, in each package's words. */
export interface RaceSession {
  set(key: string, value: string): void;
  destroy(): Promise<void>;
  /** The keys that hold something of the application. */
  keys(): string[];
}

export async function act(session: RaceSession, path: string, gate: Gate): Promise<string> {
  const [, action, key = ""] = path.split("/");
  if (action === "login") session.set("user", "alice");
  if (action === "logout") await session.destroy();
  if (action === "slow") {
    await gate.pass();
    session.set(key, "set");
  }
  return action === "show" ? session.keys().join(",") : "done";
}

async function ask(
  { url }: RaceApp,
  path: string,
  cookie?: string,
): Promise<{ text: string; cookie: string | undefined }> {
  const response = await fetch(url + path, { headers: cookie === undefined ? {} : { cookie } });
  const [set] = response.headers.getSetCookie();
  return { text: await response.text(), cookie: set?.split(";")[0] };
}

/** A request loads its session; another one logs out; the first one ends. How often is the user logged in again? */
export async function revivals(app: RaceApp, rounds: number): Promise<number> {
  let revived = 0;
  for (let round = 0; round < rounds; round++) {
    const { cookie } = await ask(app, "/login");
    const arrived = app.gate.shut(1);
    const late = ask(app, "/slow/late", cookie);
    await arrived;
    await ask(app, "/logout", cookie);
    app.gate.open();
    await late;
    const { text } = await ask(app, "/show", cookie);
    if (text.split(",").includes("user")) revived++;
  }
  return revived;
}

/** Parallel requests of one browser, each of which sets a key of its own. How many keys are there afterwards? */
export async function keysKept(app: RaceApp, rounds: number, writers: number): Promise<number> {
  let kept = 0;
  for (let round = 0; round < rounds; round++) {
    const { cookie } = await ask(app, "/login");
    const arrived = app.gate.shut(writers);
    const writing = Array.from({ length: writers }, (_, n) => ask(app, `/slow/key${n}`, cookie));
    await arrived;
    app.gate.open();
    await Promise.all(writing);
    const { text } = await ask(app, "/show", cookie);
    kept += text.split(",").filter((key) => key.startsWith("key")).length;
  }
  return kept;
}
