/** Says whether the first proxy that a request passed was asked over TLS. Only a trusted proxy's header tells. */
export function isForwardedSecure(forwardedProto: string | string[] | null | undefined): boolean {
  const first = [forwardedProto ?? ""].flat().join(",").split(",", 1)[0] ?? "";
  return first.trim().toLowerCase() === "https";
}
