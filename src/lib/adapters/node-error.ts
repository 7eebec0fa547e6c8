import type { IncomingMessage, ServerResponse } from "node:http";
import { failureLog } from "../core/log.ts";
import { discardEntityHeaders } from "./held/head.ts";
import { RefusedError } from "../core/errors.ts";

/** What is answered to other errors. */
export const INTERNAL = { status: 500, title: "Internal Server Error" };

/** Sets a status, and drops the text that the application has given another one. HTTP/2 has no such text, and warns. */
export function setStatus(response: ServerResponse, status: number): void {
  response.statusCode = status;
  if (Object.hasOwn(response, "statusMessage")) response.statusMessage = "";
}

/**
 * Hands an error to a framework's `next`. Where its handler throws in turn, the request gets a plain answer: the error would
 * be nobody's and end the process. Polka's own handler does so, as it takes an error's `code` for a status.
 */
export function passError(error: unknown, response: ServerResponse, next: (error: unknown) => void): void {
  try {
    next(error);
  } catch (second) {
    console.error("pgstore: the application's error handler failed:", second);
    if (response.headersSent || response.writableEnded) {
      response.destroy();
      return;
    }
    const { status, title } = error instanceof RefusedError ? error : INTERNAL;
    setStatus(response, status);
    response.end(`${title}\n`);
  }
}

export type ErrorHook = (error: unknown, request: unknown, response: unknown) => unknown;

/** Milliseconds that an `onError` that takes the response has to begin an answer, after it has returned. */
const MAX_ANSWER_DELAY_MS = 1000;

/**
 * Lets `onError` answer, and answers with a plain 500 (of a RefusedError with its status) what it left open. One that takes the response, its third
 * parameter, may begin its answer a little later. Never throws.
 */
export function answerError(
  onError: ErrorHook | undefined = logError,
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { status, title } = error instanceof RefusedError ? error : INTERNAL;
  // A stream of the handler's may go on writing, or onError answer a second time: that must not end the process.
  response.on("error", () => {});
  if (!response.headersSent) {
    discardEntityHeaders(response);
    setStatus(response, status);
  }
  const close = (): void => {
    // Also when the client has gone: with its end the session is committed.
    if (response.headersSent) return;
    response.setHeader("Content-Type", "text/plain; charset=utf-8");
    response.end(`${title}\n`);
  };
  const settle = (): void => {
    if (response.headersSent) return;
    if (onError.length >= 3) setTimeout(close, MAX_ANSWER_DELAY_MS).unref();
    else close();
  };
  let outcome: unknown;
  try {
    outcome = onError(error, request, response);
  } catch (second) {
    logError(second);
    close();
    return;
  }
  if (!isThenable(outcome)) settle();
  else {
    outcome.then(settle, (second: unknown) => {
      logError(second);
      close();
    });
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

const logFailure = failureLog("the request failed");

function logError(error: unknown): void {
  // That one was refused, nothing has failed.
  if (error instanceof RefusedError) return;
  logFailure(error);
}
