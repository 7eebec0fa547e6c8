/** The password in a connection URL, up to the last @ that could end it; the scheme may be missing. */
const IN_URL = /((?:\b[a-z][a-z\d+.-]*:\/\/|(?<![\w:/@.-])\/\/)[^\s:@/]*):\S*@/gi;
const WITHOUT_SCHEME = /((?<![\w:/@.-])[\w.%+-]+):[^\s@/]\S*@(?=[\w[%.-])/gi;
/** Of libpq's strings, of queries, and of the environment; quoted or not. */
const NAMED = /((?:password|passfile|PGPASSWORD|passwd|pwd)\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|"[^"]*"?|[^\s&'"]+)/gi;

/**
 * Takes passwords out of an error's text, by where they stand.
 *
 * Our own texts hold none, and are printed as they are: of a password such as "sessions" each table's name would be hidden.
 */
export function redact(text: string): string {
  return text.replaceAll(IN_URL, "$1:***@").replaceAll(WITHOUT_SCHEME, "$1:***@").replaceAll(NAMED, "$1***");
}

/**
 * Takes passwords out of what others say: also where one stands alone.
 *
 * @param urls - connection strings
 * @param password - one that is known by itself
 */
export function redactForeign(text: string, urls: readonly (string | undefined)[], password?: string): string {
  const secrets = [password ?? "", ...urls.flatMap((url) => (url === undefined ? [] : passwordsIn(url)))]
    .flatMap((secret) => [secret, decoded(secret)])
    .filter((secret) => secret.length >= MIN_LENGTH);
  // The longer first: one may be the beginning of another.
  let safe = redact(text);
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) safe = safe.replaceAll(secret, "***");
  return safe;
}

/** Shorter ones would stand in innocent words. */
const MIN_LENGTH = 4;

function passwordsIn(url: string): string[] {
  const found = [
    /\/\/[^\s:@/]*:(\S*)@/.exec(url)?.[1],
    /^[\w.%+-]+:([^\s/]\S*)@/.exec(url)?.[1],
    ...[...url.matchAll(/password\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s&'"]+))/gi)].flatMap(([, quoted, plain]) => [
      quoted?.replaceAll(/\\(.)/g, "$1"),
      plain,
    ]),
  ];
  return found.filter((password) => password !== undefined);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
