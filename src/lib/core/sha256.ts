import { createHash, hash } from "node:crypto";

/** SHA-256 of a text's UTF-8, in base64url, 43 characters. */
export function sha256(text: string): string {
  return hash("sha256", text, "base64url");
}

/** SHA-256 of bytes, in base64. */
export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}
