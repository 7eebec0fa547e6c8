import { after } from "../../core/time.ts";
import { redirectResponse } from "../../dashboard/responses.ts";
import type { SessionManager } from "../../manager/session-manager.ts";
import type { Session } from "../../session/session.ts";

/** The keys of the demo's sessions, and the types of their values. */
export interface DemoSession {
  notes: string[];
  visits: number;
  /** A message for the next page. */
  flash: string;
  /** The last argument of `rememberMe`. */
  remembered: boolean;
  /** Counter of the writes in the race. */
  race: number;
  /** The same counter in a store that overwrites the whole session, where writes are lost. */
  overwritten: number;
}

/** Limits of the forms. Lengths are in characters. */
export const LIMITS = { name: 40, note: 200, notes: 20 };

/** Carries out a form. Returns the message for the next page, or the answer. */
export type Action = (session: Session<DemoSession>, submission: Submission) => Answer | Promise<Answer>;
type Answer = string | Response;

/** A form that was posted, and the manager of the demo's sessions. */
interface Submission {
  form: URLSearchParams;
  request: Request;
  manager: SessionManager<DemoSession>;
}

/** Actions by the path that their form is posted to. */
export const ACTIONS: Record<string, Action> = {
  async "/login"(session, { form }) {
    const name = lineOf(form, "name");
    if (name === "" || name.length > LIMITS.name) return `A name has 1 to ${LIMITS.name} characters.`;
    // A real application checks a password here. login renews the token, so a token that was stolen or planted before is useless.
    await session.login(name);
    const remember = form.has("remember");
    session.rememberMe(remember);
    session.set("remembered", remember);
    return `Welcome, ${name}. Your token was renewed.`;
  },

  "/logout": logOut,

  async "/logout/others"(session, { manager }) {
    if (session.userId === undefined) return "Log in first.";
    const revoked = await manager.destroyByUser(session.userId, { except: session });
    return revoked === 0 ? "There was no other browser." : `Other browsers logged out: ${revoked}.`;
  },

  async "/logout/everywhere"(session, { manager }) {
    if (session.userId === undefined) return "Log in first.";
    const revoked = await manager.destroyByUser(session.userId, { except: session });
    await session.reset();
    return `You are logged out everywhere. Browsers: ${revoked + 1}.`;
  },

  async "/revoke"(session, { form, manager }) {
    const { userId } = session;
    if (userId === undefined) return "Log in first.";
    const id = form.get("id") ?? "";
    if (id === session.id) return logOut(session);
    // The id comes from the form, so the user is checked as well.
    const isRevoked = await manager.destroyById(id, { userId });
    return isRevoked ? "Revoked. That browser has just been told." : "That session was over already.";
  },

  async "/token"(session) {
    await session.renewToken();
    return "You have a new token. The old one is dead.";
  },

  "/notes"(session, { form }) {
    const note = lineOf(form, "note");
    if (note === "" || note.length > LIMITS.note) return `A note has 1 to ${LIMITS.note} characters.`;
    if ((session.get("notes") ?? []).length >= LIMITS.notes) return `There is room for ${LIMITS.notes} notes.`;
    // With update, unlike get and set, two tabs can add a note at the same time.
    session.update("notes", (notes = []) => [...notes, note].slice(0, LIMITS.notes));
    return "Noted.";
  },

  "/notes/remove"(session, { form }) {
    const note = form.get("note") ?? "";
    if (!session.get("notes")?.includes(note)) return "That note is gone already.";
    // By text, as another tab may have removed a note before it.
    session.update("notes", (notes = []) => {
      const index = notes.indexOf(note);
      return index === -1 ? notes : notes.toSpliced(index, 1);
    });
    return "Removed.";
  },

  async "/destroy"(session) {
    await session.destroy();
    return redirectResponse(303, "/ended");
  },

  /** Adds 1 to two counters of the session. Both writes of a pair have read the session before either writes. */
  async "/race"(session, { request }) {
    const read = session.get("overwritten") ?? 0;
    await rivalOf(session.id ?? "");
    session.update("race", (before = 0) => before + 1);
    // The last write wins, as in a store that overwrites the whole session.
    session.set("overwritten", read + 1);
    return countersOf(session, request);
  },

  /** Sets both counters back to zero. */
  "/race/reset"(session, { request }) {
    session.delete("race");
    session.delete("overwritten");
    return countersOf(session, request);
  },
};

async function logOut(session: Session<DemoSession>): Promise<string> {
  // logout() would end the session, which then could not hold the message. reset() continues with an empty one.
  await session.reset();
  return "You are logged out.";
}

/** Milliseconds that a write of the race waits for its rival. */
const MAX_WAIT_MS = 1000;

/** Functions that let a waiting write go on, by the id of its session. */
const waiting = new Map<string, () => void>();

/** Waits until another request of the session has come as far, or for a second. */
function rivalOf(id: string): Promise<void> {
  const rival = waiting.get(id);
  if (rival !== undefined) return Promise.resolve(rival());
  return new Promise((resolve) => {
    const go = (): void => {
      stop();
      waiting.delete(id);
      resolve();
    };
    const stop = after(MAX_WAIT_MS, go);
    waiting.set(id, go);
  });
}

/** Answers the page's script with the counters, and a browser without scripts with the page. */
async function countersOf(session: Session<DemoSession>, { headers }: Request): Promise<Response> {
  if (headers.get("accept") !== "application/json") return redirectResponse(303, "/#race");
  await session.save();
  const counters = { kept: session.get("race") ?? 0, overwritten: session.get("overwritten") ?? 0 };
  return Response.json(counters, { headers: { "Cache-Control": "no-store" } });
}

/** Reads a field as one line without control characters. */
function lineOf(form: URLSearchParams, field: string): string {
  return (form.get(field) ?? "").replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
}
