/**
 * Says whether an origin is that of a host. The scheme is not compared, as a proxy may have ended TLS, but it says which port goes
 * without saying.
 *
 * @param origin - of a header Origin
 * @param host - of a header Host
 */
export function isOriginOf(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false;
  const { protocol, host: expected } = new URL(origin);
  return URL.canParse(`${protocol}//${host}`) && new URL(`${protocol}//${host}`).host === expected;
}
