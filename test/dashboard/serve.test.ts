import http from "node:http";
import { CookieJar } from "tough-cookie";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { serveDashboard, type ServedDashboard } from "../../src/lib/dashboard/serve.ts";
import { fieldsOf, openPlace, type Place } from "./support.ts";

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
afterAll(() => place.drop());

async function start(): Promise<ServedDashboard> {
  const served = await serveDashboard({ manager: place.manager });
  onTestFinished(() => served.close());
  return served;
}

const get = (url: string, headers: Record<string, string> = {}, method = "GET"): Promise<Response> =>
  fetch(url, { headers, method, redirect: "manual" });

async function enter({ url }: ServedDashboard): Promise<string> {
  const response = await get(url);
  expect(response.status).toBe(303);
  return response.headers.getSetCookie()[0] ?? "";
}

describe("serveDashboard", () => {
  it("lets in whoever opens its link, once, and nobody else", async () => {
    const served = await start();
    expect((await get(served.address)).status).toBe(403);
    expect((await get(`${served.address}style.css`)).status).toBe(403);
    const wrong = served.url.replace(/once=./, "once=");
    const root = new URL("/", served.address).href;
    for (const url of [wrong, `${root}open`, `${root}open?once=`]) {
      expect((await get(url)).status, url).toBe(403);
    }
    expect((await get(served.url, {}, "HEAD")).status).toBe(403);

    const entered = await get(served.url);
    expect([entered.status, entered.headers.get("location"), await entered.text()]).toEqual([
      303,
      `.${new URL(served.address).pathname}`,
      "",
    ]);
    const [setCookie = ""] = entered.headers.getSetCookie();
    const { port, pathname } = new URL(served.address);
    expect(setCookie).toMatch(
      new RegExp(`^pgstore_dashboard_${port}=[\\w-]{43}; Path=${pathname}; HttpOnly; SameSite=Strict$`),
    );
    const cookie = setCookie.split(";", 1)[0] ?? "";
    expect((await get(served.address, { cookie })).status).toBe(200);
    expect((await get(served.address, { cookie: `${cookie.slice(0, -1)}_` })).status).toBe(403);

    const again = await get(served.url);
    expect([again.status, again.headers.getSetCookie()]).toEqual([403, []]);
    expect((await get(served.address, { cookie })).status).toBe(200);
  });

  it("gives its cookie to no other server of this machine", async () => {
    const served = await start();
    const jar = new CookieJar();
    await jar.setCookie(await enter(served), served.url);
    expect(await jar.getCookies(served.address)).toHaveLength(1);
    // Cookies don't know ports.
    expect(await jar.getCookies("http://127.0.0.1:1/")).toEqual([]);
    expect(new URL((await start()).address).pathname).not.toBe(new URL(served.address).pathname);
  });

  it("revokes sessions", async () => {
    const ada = await place.login("ada");
    const served = await start();
    const own = (await enter(served)).split(";", 1)[0] ?? "";
    const page = await get(`${served.address}revoke?user=ada`, { cookie: own });
    const cookie = [own, page.headers.getSetCookie()[0]?.split(";", 1)[0]].join("; ");
    const response = await fetch(`${served.address}revoke`, {
      method: "POST",
      redirect: "manual",
      headers: { cookie, origin: new URL(served.address).origin },
      body: new URLSearchParams(fieldsOf(await page.text())),
    });
    expect(response.status).toBe(303);
    expect(await place.alive(ada)).toEqual([false]);
  });

  it("answers to the names of loopback only", async () => {
    const served = await start();
    const cookie = (await enter(served)).split(";", 1)[0] ?? "";
    const { port, pathname: path } = new URL(served.address);
    const ask = (host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        http
          .get({ host: "127.0.0.1", port, path, headers: { host, cookie } }, (response) => {
            response.resume().on("end", () => resolve(response.statusCode));
          })
          .on("error", reject);
      });
    for (const host of ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"]) expect(await ask(`${host}:${port}`)).toBe(200);
    for (const host of [
      `evil.test:${port}`,
      "localhost",
      `localhost:${Number(port) + 1}`,
      `localhost.evil.test:${port}`,
      `a@localhost:${port}`,
    ]) {
      expect(await ask(host), host).toBe(421);
    }
  });

  it("serves loopback only, and says when the port is taken", async () => {
    const served = await start();
    const { port } = new URL(served.address);
    // A server on every address would answer here, too.
    await expect(get(`http://127.0.0.2:${port}/`)).rejects.toThrow();
    await expect(serveDashboard({ manager: place.manager, port: Number(port) })).rejects.toMatchObject({
      code: "EADDRINUSE",
    });
    await served.close();
    await served.close();
    await expect(get(served.address)).rejects.toThrow();
  });
});
