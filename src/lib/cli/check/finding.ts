/** What a check has to say of one matter. */
export interface Finding {
  /** The matter, one word or two. */
  name: string;
  level: "ok" | "warn" | "error";
  text: string;
  /** What to do about it. */
  remedy?: string;
}

export function ok(name: string, text: string): Finding {
  return { name, level: "ok", text };
}

export function warn(name: string, text: string, remedy: string): Finding {
  return { name, level: "warn", text, remedy };
}

export function error(name: string, text: string, remedy: string): Finding {
  return { name, level: "error", text, remedy };
}
