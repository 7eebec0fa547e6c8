import { lowerAscii, trimBlanks } from "../base/ascii.ts";

/** The address that the last proxy, the trusted one, was asked from: what stands before it, anybody can have written. */
export function forwardedFor(header: string | string[] | null | undefined): string | undefined {
  const last = trimBlanks([header ?? ""].flat().join(",").split(",").at(-1) ?? "");
  return last === "" ? undefined : last;
}

/** Says whether the first proxy that a request passed was asked over TLS. Only a trusted proxy's header tells. */
export function isForwardedSecure(forwardedProto: string | string[] | null | undefined): boolean {
  const first = [forwardedProto ?? ""].flat().join(",").split(",", 1)[0] ?? "";
  return lowerAscii(trimBlanks(first)) === "https";
}
