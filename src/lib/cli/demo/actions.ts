import type { Session } from "../../session/session.ts";
import { type DemoSession, LIMITS } from "./demo-session.ts";

/** Changes the session as a form demands. Resolves to the message for the next page. */
type Action = (session: Session<DemoSession>, form: URLSearchParams) => string | Promise<string>;

/** What the page's forms do, by the path that they are posted to. */
export const ACTIONS = new Map<string, Action>([
  ["/login", logIn],
  ["/logout", logOut],
  ["/token", renewToken],
  ["/notes", addNote],
  ["/notes/remove", removeNote],
]);

async function logIn(session: Session<DemoSession>, form: URLSearchParams): Promise<string> {
  const name = lineOf(form, "name");
  if (name === "" || name.length > LIMITS.name) return `A name has 1 to ${LIMITS.name} characters.`;
  // A real application checks a password here. login renews the token: whoever knew or planted the old one stays outside.
  await session.login(name);
  const remember = form.has("remember");
  session.rememberMe(remember);
  session.set("remembered", remember);
  return `Welcome, ${name}. Your token was renewed.`;
}

async function logOut(session: Session<DemoSession>): Promise<string> {
  // Not logout(): that ends the session, and leaves no place for the message. reset() goes on with an empty one.
  await session.reset();
  return "You are logged out.";
}

async function renewToken(session: Session<DemoSession>): Promise<string> {
  await session.renewToken();
  return "You have a new token. The old one is dead.";
}

function addNote(session: Session<DemoSession>, form: URLSearchParams): string {
  const note = lineOf(form, "note");
  if (note === "" || note.length > LIMITS.note) return `A note has 1 to ${LIMITS.note} characters.`;
  if ((session.get("notes") ?? []).length >= LIMITS.notes) return `There is room for ${LIMITS.notes} notes.`;
  // update, not get and set: of two tabs that add a note at the same time, both keep theirs.
  session.update("notes", (notes = []) => [...notes, note].slice(0, LIMITS.notes));
  return "Noted.";
}

function removeNote(session: Session<DemoSession>, form: URLSearchParams): string {
  const note = form.get("note") ?? "";
  if (!session.get("notes")?.includes(note)) return "That note is gone already.";
  // By its text, not its place: another tab may have removed one before it meanwhile.
  session.update("notes", (notes = []) => {
    const index = notes.indexOf(note);
    return index === -1 ? notes : notes.toSpliced(index, 1);
  });
  return "Removed.";
}

/** A field's text as one line, without control characters. */
function lineOf(form: URLSearchParams, field: string): string {
  return (form.get(field) ?? "").replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
}
