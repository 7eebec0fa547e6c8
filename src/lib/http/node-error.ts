import type { ServerResponse } from "node:http";
import { RefusedError } from "../base/errors.ts";

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
    const isRefused = error instanceof RefusedError;
    response.statusCode = isRefused ? error.status : 500;
    response.statusMessage = "";
    response.end(isRefused ? error.body : "Internal Server Error\n");
  }
}
