/** What a login records about its client. */
export interface LoginDetails {
  /** The client's IP address. Undefined: unknown, or not recorded as `recordIp` was off. */
  ip: string | undefined;
  /** The client's User-Agent. Undefined: unknown, or not recorded as `recordUserAgent` was off. */
  userAgent: string | undefined;
}

/** Returns the details among other properties. */
export function detailsOf({ ip, userAgent }: Partial<LoginDetails>): LoginDetails {
  return { ip, userAgent };
}
