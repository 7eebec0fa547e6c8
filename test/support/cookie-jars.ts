import { stringifySetCookie } from "cookie";
import { CookieJar as Browser } from "tough-cookie";
import type { CookieJar } from "../../src/cookies.ts";
import type { SessionCookieOptions } from "../../src/index.ts";

/** A framework's jar for one request, and the Set-Cookie headers that the framework writes from it. */
export interface JarOfRequest {
  jar: CookieJar | Promise<CookieJar>;
  setCookies(): string[];
}

export type MakeJar = (cookieHeader: string) => JarOfRequest;

function parse(header: string): [string, string][] {
  return header.split("; ").flatMap((pair) => {
    const at = pair.indexOf("=");
    return at === -1 ? [] : [[pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))] as [string, string]];
  });
}

const text = (name: string, value: string, options: object): string => stringifySetCookie({ name, value, ...options });

/**
 * Next.js's jar: one cookie a name, the last one of the request. `get` returns an object. Next.js returns a promise of
 * the jar.
 */
function nextJar(header: string): JarOfRequest {
  const sent = new Map(parse(header));
  const set = new Map<string, string>();
  const jar = {
    get: (name: string) => (sent.has(name) ? { name, value: sent.get(name) ?? "" } : undefined),
    set(name: string, value: string, { expires, maxAge, ...options }: SessionCookieOptions) {
      sent.set(name, value);
      // It writes Expires by its own clock.
      const until = maxAge ? new Date(Date.now() + maxAge * 1000) : expires;
      set.set(
        name,
        text(name, value, {
          ...options,
          ...(maxAge === undefined ? {} : { maxAge }),
          ...(until === undefined ? {} : { expires: until }),
        }),
      );
      return jar;
    },
  };
  return { jar: Promise.resolve(jar), setCookies: () => [...set.values()] };
}

/**
 * SvelteKit's jar: one cookie a name, domain and path, the first one of the request. It demands a path and has its own
 * defaults.
 */
function svelteKitJar(header: string): JarOfRequest {
  const sent = new Map(parse(header).toReversed());
  const set = new Map<string, string>();
  const jar = {
    get: (name: string) => sent.get(name),
    set(name: string, value: string, options: SessionCookieOptions) {
      if (typeof options.path !== "string") throw new Error("You must specify a `path` when setting cookies");
      const defaults = { httpOnly: true, sameSite: "lax", secure: true };
      set.set(`${options.domain}${options.path}?${name}`, text(name, value, Object.assign(defaults, options)));
      if (options.maxAge === 0) sent.delete(name);
      else sent.set(name, value);
    },
  };
  return { jar, setCookies: () => [...set.values()] };
}

/** Astro's jar: an object of a class for each cookie name. */
function astroJar(header: string): JarOfRequest {
  class AstroCookie {
    readonly value: string;
    constructor(value: string) {
      this.value = value;
    }
  }
  const sent = new Map(parse(header).toReversed());
  const set = new Map<string, [string, string]>();
  const jar = {
    get(name: string) {
      const value = set.get(name)?.[0] ?? sent.get(name);
      return value === undefined ? undefined : new AstroCookie(value);
    },
    set(name: string, value: string | Record<string, unknown>, options: SessionCookieOptions) {
      if (typeof value !== "string") throw new TypeError("the test stores text");
      set.set(name, [value, text(name, value, options)]);
    },
  };
  return { jar, setCookies: () => [...set.values()].map(([, header]) => header) };
}

/** The jar of h3 and TanStack Start: two asynchronous functions, one for the request and one for the response. */
function functionsJar(header: string): JarOfRequest {
  const sent = new Map(parse(header).toReversed());
  const set = new Map<string, string>();
  const getCookie = async (name: string): Promise<string | undefined> => sent.get(name);
  const setCookie = async (name: string, value: string, options: SessionCookieOptions): Promise<void> => {
    await Promise.resolve();
    const key = [name, options.domain ?? "", options.path].join(";");
    set.delete(key);
    set.set(key, text(name, value, { ...options, path: options.path || "/" }));
  };
  return { jar: { get: getCookie, set: setCookie }, setCookies: () => [...set.values()] };
}

/** The jars of frameworks. The frameworks themselves are tested in test/apps. */
export const JARS: Record<string, MakeJar> = {
  "Next.js": nextJar,
  SvelteKit: svelteKitJar,
  Astro: astroJar,
  h3: functionsJar,
};

/** A browser that talks to an application by jars. */
export class JarBrowser {
  readonly #browser = new Browser();
  readonly #make: MakeJar;
  readonly url: string;

  constructor(make: MakeJar, url = "https://example.org/app/page") {
    this.#make = make;
    this.url = url;
  }

  /** The Cookie header that it would send. */
  get header(): string {
    return this.#browser.getCookieStringSync(this.url);
  }

  /** The value of one of its cookies. */
  value(name = "session"): string | undefined {
    return this.#browser.getCookiesSync(this.url).find(({ key }) => key === name)?.value;
  }

  /** Plants a cookie. */
  plant(setCookie: string): void {
    this.#browser.setCookieSync(setCookie, this.url);
  }

  /** Makes a request, whose cookies it keeps, whether the work succeeds or not. Resolves to the Set-Cookie headers. */
  async request(work: (jar: CookieJar | Promise<CookieJar>, request: Request) => unknown): Promise<string[]> {
    const { header } = this;
    const { jar, setCookies } = this.#make(header);
    try {
      await work(jar, new Request(this.url, { headers: header === "" ? {} : { cookie: header } }));
    } finally {
      for (const setCookie of setCookies()) this.plant(setCookie);
    }
    return setCookies();
  }
}
