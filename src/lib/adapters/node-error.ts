import type { IncomingMessage, ServerResponse } from "node:http";
import { failureLog } from "../core/log.ts";
import { RefusedError } from "../core/errors.ts";
import { isEntityHeader } from "../http/headers.ts";

/** Answer to an error that has no status of its own. */
const INTERNAL = { status: 500, title: "Internal Server Error" };

/** Returns the status and title of the plain answer to an error. */
function plainAnswer(error: unknown): { readonly status: number; readonly title: string } {
  try {
    return error instanceof RefusedError ? error : INTERNAL;
  } catch {
    // A proxy may throw even here.
    return INTERNAL;
  }
}

/**
 * Wraps a thrown value that frameworks would not take for an error. `next(undefined)` runs the handler, `next("router")` skips it, and Koa
 * ignores a null.
 */
export function asError(thrown: unknown): object {
  return Object(thrown) === thrown
    ? (thrown as object)
    : new Error("the thrown value is not an object", { cause: thrown });
}

/** Sets a status and drops the application's status message. HTTP/2 has no status message, and warns when one is set. */
function setStatus(response: ServerResponse, status: number): void {
  response.statusCode = status;
  if (Object.hasOwn(response, "statusMessage")) response.statusMessage = "";
}

/**
 * Passes an error to a framework's `next`, and sends a plain answer if the framework's error handler throws.
 *
 * Without that answer the second error would end the process. Polka's own handler throws when an error has a `code`, which it uses
 * as the status.
 */
export function passError(error: unknown, response: ServerResponse, next: (error: unknown) => void): void {
  try {
    next(asError(error));
  } catch (second) {
    console.error("pgstore: the application's error handler failed:", second);
    if (response.headersSent || response.writableEnded) {
      response.destroy();
      return;
    }
    const { status, title } = plainAnswer(error);
    setStatus(response, status);
    response.end(`${title}\n`);
  }
}

/** The manager's `onError`. It answers the request, or leaves that to pgstore. */
export type ErrorHook = (error: unknown, request: unknown, response: unknown) => unknown;

/** Time that an `onError` with three parameters has to begin its answer after it has returned. */
const MAX_ANSWER_DELAY_MS = 1000;

/**
 * Calls `onError`, and answers with a plain 500 (or the status of a RefusedError) if it did not answer. An `onError` that takes the response,
 * its third parameter, may begin its answer up to a second later. Never throws.
 */
export function answerError(
  onError: ErrorHook | undefined = logError,
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { status, title } = plainAnswer(error);
  // A stream of the handler may go on writing, or onError may answer twice. Neither may end the process.
  response.on("error", () => {});
  if (!response.headersSent) {
    discardEntityHeaders(response);
    setStatus(response, status);
  }
  const close = (): void => {
    // The end also commits the session when the client has disconnected.
    if (response.headersSent) return;
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(`${title}\n`);
  };
  const settle = (): void => {
    if (response.headersSent) return;
    if (onError.length >= 3) setTimeout(close, MAX_ANSWER_DELAY_MS).unref();
    else close();
  };
  const fail = (second: unknown): void => {
    logError(second);
    close();
  };
  let outcome: unknown;
  try {
    outcome = onError(error, request, response);
  } catch (second) {
    fail(second);
    return;
  }
  if (typeof outcome !== "object" || outcome === null) settle();
  else Promise.resolve(outcome).then(settle, fail);
}

const logFailure = failureLog("the request failed");

function logError(error: unknown): void {
  // A refused request is not a failure.
  if (plainAnswer(error) === INTERNAL) logFailure(error);
}

/** Removes the headers of an unsent answer. Security policies stay. */
export function discardEntityHeaders(response: ServerResponse): void {
  if (response.headersSent) return;
  for (const name of response.getHeaderNames()) if (isEntityHeader(name)) response.removeHeader(name);
}
