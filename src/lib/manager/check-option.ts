/** @see RFC 9110, section 5.6.2 */
export const HTTP_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** @throws TypeError when there is an option that is none of these */
export function known(scope: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${scope.slice(0, -1) || "options"}: must be an object`);
  }
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new TypeError(`${scope}${name}: there is no such option`);
  }
}

/** @throws TypeError that names the option */
export function bool(option: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw new TypeError(`${option}: must be a boolean`);
  return value;
}
