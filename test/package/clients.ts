import { once } from "node:events";
import http from "node:http";
import { CookieJar } from "tough-cookie";
import { expect } from "vitest";

/** What an example shows of a session. */
export interface Page {
  user?: string;
  notes: string[];
}

/** Someone who uses an example, and keeps the token that it gives. */
export interface Client {
  /** The token of the present session; undefined: none. */
  readonly token: string | undefined;
  read(): Promise<Page>;
  /** Posts fields, and resolves to the status; the client follows no redirect. */
  post(path: string, fields?: Record<string, string>): Promise<number>;
  /** Begins to post and resolves when the server has begun with it; what it resolves to sends the rest, as `post` does. */
  begin(path: string, fields: Record<string, string>): Promise<() => Promise<number>>;
}

/** Makes a client of the server at a URL, with nothing or with a token that it has got hold of. */
export type MakeClient = (url: string, token?: string) => Client;

/**
 * A browser: a cookie jar, and forms, of which it tells the origin.
 *
 * @param name - of the cookie with the token
 * @param base - the path below which the example answers with JSON
 */
export function browser(url: string, token?: string, name = "session", base = ""): Client {
  const jar = new CookieJar();
  if (token !== undefined) jar.setCookieSync(`${name}=${token}`, url);
  const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const target = url + (base !== "" && path === "/" ? base : base + path);
    const response = await fetch(target, {
      ...init,
      redirect: "manual",
      headers: { cookie: jar.getCookieStringSync(target), ...(init.method === "POST" ? { origin: url } : {}) },
    });
    for (const cookie of response.headers.getSetCookie()) jar.setCookieSync(cookie, target);
    return response;
  };
  return {
    get token() {
      return jar.getCookiesSync(url).find(({ key }) => key === name)?.value;
    },
    read: async () => (await (await send("/")).json()) as Page,
    post: async (path, fields = {}) => {
      const response = await send(path, { method: "POST", body: new URLSearchParams(fields) });
      // express-session holds the last byte back, not the head, until the session is stored.
      await response.arrayBuffer();
      return response.status;
    },
    begin: (path, fields) =>
      begin(url + base + path, "application/x-www-form-urlencoded", new URLSearchParams(fields).toString()),
  };
}

/** An application on a telephone, say: a bearer token, and JSON. */
export const apiClient: MakeClient = (url, token) => {
  let current = token;
  const send = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers({ "content-type": "application/json" });
    if (current !== undefined) headers.set("authorization", `Bearer ${current}`);
    const response = await fetch(url + path, { ...init, headers });
    const told = response.headers.get("session-token");
    if (told !== null) current = told === "" ? undefined : told;
    expect(response.headers.getSetCookie()).toEqual([]);
    return response;
  };
  return {
    get token() {
      return current;
    },
    read: async () => (await (await send("/")).json()) as Page,
    post: async (path, fields = {}) => (await send(path, { method: "POST", body: JSON.stringify(fields) })).status,
    begin: (path, fields) => begin(url + path, "application/json", JSON.stringify(fields)),
  };
};

/** A browser whose page sends JSON. */
function jsonBrowser(url: string, token: string | undefined) {
  const jar = new CookieJar();
  if (token !== undefined) jar.setCookieSync(`session=${token}`, url);
  return {
    token: (): string | undefined => jar.getCookiesSync(url).find(({ key }) => key === "session")?.value,
    send: async (path: string, body?: object): Promise<Response> => {
      const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
      const headers = { cookie: jar.getCookieStringSync(url), "content-type": "application/json" };
      const response = await fetch(url + path, { ...init, headers });
      for (const cookie of response.headers.getSetCookie()) jar.setCookieSync(cookie, url);
      return response;
    },
  };
}

/** A client of tRPC, whose procedures have the names of the paths and take objects. */
export const trpcClient: MakeClient = (url, presented) => {
  const { token, send } = jsonBrowser(url, presented);
  return {
    get token() {
      return token();
    },
    read: async () => ((await (await send("/show")).json()) as { result: { data: Page } }).result.data,
    post: async (path, fields = {}) => (await send(path, fields)).status,
    begin: (path, fields) => begin(url + path, "application/json", JSON.stringify(fields)),
  };
};

/** The mutations of GraphQL that stand for the paths. */
const MUTATIONS: Record<string, string> = {
  "/login": "mutation ($user: String!) { login(user: $user) { user } }",
  "/notes": "mutation ($note: String!) { addNote(note: $note) { notes } }",
  "/logout": "mutation { logout }",
};

/** A client of GraphQL. */
export const graphqlClient: MakeClient = (url, presented) => {
  const { token, send } = jsonBrowser(url, presented);
  const bodyOf = (path: string, variables: object): object => ({ query: MUTATIONS[path], variables });
  return {
    get token() {
      return token();
    },
    read: async () => {
      const response = await send("/graphql", { query: "{ visitor { user notes } }" });
      const { data } = (await response.json()) as { data: { visitor: Page & { user: string | null } } };
      const { user, notes } = data.visitor;
      return user === null ? { notes } : { user, notes };
    },
    post: async (path, fields = {}) => (await send("/graphql", bodyOf(path, fields))).status,
    begin: (path, fields) => begin(`${url}/graphql`, "application/json", JSON.stringify(bodyOf(path, fields))),
  };
};

async function begin(target: string, type: string, body: string): Promise<() => Promise<number>> {
  // The server's 100 says that it has the head.
  const headers = {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    expect: "100-continue",
    origin: new URL(target).origin,
  };
  const request = http.request(target, { method: "POST", headers, agent: false });
  const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
  // Whoever finishes it hears of what fails until then.
  answered.catch(() => {});
  request.flushHeaders();
  await once(request, "continue");
  return async () => {
    request.end(body);
    const [response] = await answered;
    response.resume();
    await once(response, "close");
    return response.statusCode ?? 0;
  };
}
