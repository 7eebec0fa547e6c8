import Link from "next/link";
import { getSession } from "pgstore/next";
import { manager } from "../sessions";
import { addNote } from "./actions";
import { LoginForm } from "./login-form";

/** A server component reads the session, and counts as activity. It can't change it: that is for actions and route handlers. */
export default async function Home() {
  const session = await getSession(manager);
  return (
    <>
      {session.userId === undefined ? <LoginForm /> : <Link href="/account">Your account</Link>}
      <ul>
        {(session.get("notes") ?? []).map((note, index) => (
          <li key={index}>{note}</li>
        ))}
      </ul>
      <form action={addNote}>
        <label>
          Note <input name="note" required />
        </label>
        <button>Add</button>
      </form>
    </>
  );
}
