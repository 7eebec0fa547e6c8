import type { ServerResponse } from "node:http";
import { CsrfError } from "../base/errors.ts";

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
    const forbidden = error instanceof CsrfError;
    response.statusCode = forbidden ? 403 : 500;
    response.statusMessage = "";
    response.end(forbidden ? "Forbidden\n" : "Internal Server Error\n");
  }
}
