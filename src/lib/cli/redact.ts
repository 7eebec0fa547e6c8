/** The password in a connection URL, up to the last @ that could end it. */
const IN_URL = /(\b[a-z][a-z\d+.-]*:\/\/[^\s:@/]*):\S*@/gi;
const IN_QUERY = /([?&](?:password|sslpassword)=)[^\s&]*/gi;
/** Shorter ones would stand in innocent words. */
const SHORTEST = 4;

/**
 * Makes what takes passwords out of a text.
 *
 * @param urls - connection URLs whose passwords may stand alone in it
 */
export function redactor(urls: readonly (string | undefined)[]): (text: string) => string {
  const secrets = urls.flatMap((url) => (url === undefined ? [] : passwordsIn(url)));
  return (text) => {
    let safe = text.replaceAll(IN_URL, "$1:***@").replaceAll(IN_QUERY, "$1***");
    for (const secret of secrets) safe = safe.replaceAll(secret, "***");
    return safe;
  };
}

function passwordsIn(url: string): string[] {
  const raw = [/:\/\/[^\s:@/]*:(\S*)@/.exec(url)?.[1], /[?&]password=([^\s&]*)/.exec(url)?.[1]];
  return raw
    .flatMap((password) => (password === undefined ? [] : [password, decoded(password)]))
    .filter((password) => password.length >= SHORTEST);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
