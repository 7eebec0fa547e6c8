"use client";

import { useActionState } from "react";
import { logIn } from "./actions";

export function LoginForm() {
  const [message, submit, isPending] = useActionState(logIn, undefined);
  return (
    <form action={submit}>
      <label>
        Name <input name="user" required />
      </label>
      <label>
        <input name="remember" type="checkbox" /> Remember me
      </label>
      <button disabled={isPending}>Log in</button>
      {message !== undefined && <p role="alert">{message}</p>}
    </form>
  );
}
