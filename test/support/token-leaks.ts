import crypto from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import http from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { inspect } from "node:util";
import { afterAll } from "vitest";
import { EVENT_NAMES } from "../../src/lib/core/events.ts";

/**
 * Fails a test file if one of its tokens appears in a log, an event or an answer, or in a row of its database when that
 * is dropped.
 */
const issued = new Set<string>();
const leaks: string[] = [];

/** Returns the tokens made so far that a text holds. */
export function tokensIn(text: string): string[] {
  if (issued.size === 0) return [];
  return (text.match(/[\w-]{43,}/g) ?? []).filter((word) => issued.has(word));
}

/** Records a leak, which fails the test file at its end. */
export function watchText(where: string, text: string): void {
  if (tokensIn(text).length > 0) leaks.push(`${where}: ${text.slice(0, 300)}`);
}

const { randomBytes } = crypto;
crypto.randomBytes = (size: number, ...rest: []) => {
  const bytes = randomBytes(size, ...rest);
  if (size === 32) issued.add(bytes.toString("base64url"));
  return bytes;
};
syncBuiltinESMExports();

for (const method of ["log", "info", "warn", "error", "debug"] as const) {
  const original = console[method].bind(console);
  console[method] = (...args: unknown[]) => {
    watchText(`console.${method}`, inspect(args, { depth: 8, showHidden: true }));
    original(...args);
  };
}

const watchEvent = (event: unknown, name: string | symbol): void =>
  watchText(String(name), inspect(event, { depth: 8, showHidden: true }));
for (const name of EVENT_NAMES) subscribe(`pgstore:${name}`, watchEvent);

/** Stops listening to events in this test file. */
export function leaveEventsAlone(): void {
  for (const name of EVENT_NAMES) unsubscribe(`pgstore:${name}`, watchEvent);
}

const { write, end } = http.ServerResponse.prototype;
const textOf = (chunk: unknown): string =>
  typeof chunk === "string" ? chunk : chunk instanceof Uint8Array ? Buffer.from(chunk).toString("latin1") : "";
http.ServerResponse.prototype.write = function (this: http.ServerResponse, ...args: unknown[]) {
  watchText("a response's body", textOf(args[0]));
  return Reflect.apply(write, this, args) as boolean;
} as typeof write;
http.ServerResponse.prototype.end = function (this: http.ServerResponse, ...args: unknown[]) {
  watchText("a response's body", textOf(args[0]));
  return Reflect.apply(end, this, args) as http.ServerResponse;
} as typeof end;

afterAll(() => {
  if (leaks.length > 0) throw new Error(`tokens have leaked:\n${leaks.slice(0, 5).join("\n")}`);
});
