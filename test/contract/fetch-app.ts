import { fetchHandler } from "../../src/fetch.ts";
import { type Answer, type App, chunksOf, respond } from "./adapter-contract.ts";

/** An application of the adapter contract as a handler of web-standard requests. Knows no server, so that any can serve it. */
export function fetchApp(app: App): (request: Request, ...passed: unknown[]) => Promise<Response> {
  const routes = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    return toResponse(await respond(app, pathname, request, app.managers[0]?.sessionOf(request)));
  };
  return app.managers.reduceRight<(request: Request, ...passed: unknown[]) => Promise<Response>>(
    (inner, manager) => fetchHandler(manager, (request, _session, ...passed: unknown[]) => inner(request, ...passed)),
    routes,
  );
}

/** A route's answer as a web-standard response. */
export function toResponse(answer: Answer): Response {
  const headers = new Headers();
  for (const [name, values] of Object.entries(answer.headers ?? {})) {
    for (const value of [values].flat()) headers.append(name, value);
  }
  const { status = 200, body = "" } = answer;
  return new Response(status === 204 ? null : Array.isArray(body) ? streamOf(answer) : body, { status, headers });
}

function streamOf(answer: Answer): ReadableStream<Uint8Array> {
  const chunks = chunksOf(answer);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
}
