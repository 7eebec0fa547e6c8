import type { ServerResponse } from "node:http";
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
