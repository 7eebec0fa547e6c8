import { createFileRoute, Link, useRouter } from "@tanstack/react-router";
import { useServerFn } from "@tanstack/react-start";
import { useState } from "react";
import { addNote, getVisitor, logIn } from "../functions";

export const Route = createFileRoute("/")({ loader: () => getVisitor(), component: Home });

function Home() {
  const { user, notes } = Route.useLoaderData();
  const router = useRouter();
  // It follows the redirect that the function throws.
  const submitLogin = useServerFn(logIn);
  const [message, setMessage] = useState<string>();
  return (
    <>
      {user === undefined ? (
        <form
          action={async (data) => {
            setMessage(await submitLogin({ data }));
            await router.invalidate();
          }}
        >
          <label>
            Name <input name="user" required />
          </label>
          <label>
            <input name="remember" type="checkbox" /> Remember me
          </label>
          <button>Log in</button>
          {message !== undefined && <p role="alert">{message}</p>}
        </form>
      ) : (
        <Link to="/account">Your account</Link>
      )}
      <ul>
        {notes.map((note, index) => (
          <li key={index}>{note}</li>
        ))}
      </ul>
      <form
        action={async (data) => {
          await addNote({ data });
          await router.invalidate();
        }}
      >
        <label>
          Note <input name="note" required />
        </label>
        <button>Add</button>
      </form>
    </>
  );
}
