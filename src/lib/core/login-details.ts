/** Details of the client that logged in, as recorded with the session. */
export interface LoginDetails {
  /** The client's IP address. Undefined: unknown, or `recordIp` was off. */
  ip: string | undefined;
  /** The client's User-Agent. Undefined: unknown, or `recordUserAgent` was off. */
  userAgent: string | undefined;
}

/** Picks the login details from an object. */
export function detailsOf({ ip, userAgent }: Partial<LoginDetails>): LoginDetails {
  return { ip, userAgent };
}
