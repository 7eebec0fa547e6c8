import { lowerAscii, trimBlanks } from "../base/ascii.ts";

type Header = string | string[] | null | undefined;

/** Finds the address from which the trusted proxy was asked. */
export function forwardedFor(header: Header): string | undefined {
  return lastOf(header) || undefined;
}

/** Says whether the trusted proxy was asked over TLS. */
export function isForwardedSecure(forwardedProto: Header): boolean {
  return lowerAscii(lastOf(forwardedProto)) === "https";
}

/** Reads what the last proxy, the trusted one, has added: anybody can have written what stands before it. */
function lastOf(header: Header): string {
  return trimBlanks([header ?? ""].flat().join(",").split(",").at(-1) ?? "");
}
