"use server";

import { redirect } from "next/navigation";
import { action } from "pgstore/next";
import { manager } from "../sessions";

/** For `useActionState`: returns the message to show when the login fails. */
export const logIn = action(manager, async (session, _message: string | undefined, form: FormData) => {
  const user = String(form.get("user"));
  // A real application checks a password here.
  if (!/^[a-z]+$/.test(user)) return "Your name has letters from a to z.";
  // The session gets a new token, and the old one is dead at once.
  await session.login(user, form.has("remember") ? { remember: "30d", idleTimeout: "7d" } : {});
  redirect("/account");
});

export const addNote = action(manager, async (session, form: FormData) => {
  // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
  session.update("notes", (notes = []) => [...notes, String(form.get("note"))]);
});

export const logOut = action(manager, async (session) => {
  await session.logout();
  redirect("/");
});

export const logOutEverywhere = action(manager, async (session) => {
  await manager.destroyByUser(session.requireUser(), { except: session });
  await session.logout();
  redirect("/");
});
