import { redirect } from "@tanstack/react-router";
import { createServerFn } from "@tanstack/react-start";
import { inSession, manager } from "./sessions.server";

export const getVisitor = createServerFn().handler(() =>
  inSession((session) => ({ user: session.userId, notes: session.get("notes") ?? [] })),
);

export const getDevices = createServerFn().handler(() =>
  inSession(async (session) => {
    if (session.userId === undefined) throw redirect({ to: "/" });
    const devices = await manager.listByUser(session.userId, { current: session });
    return devices.map(({ id, created, current }) => ({ id, created, current }));
  }),
);

const isForm = (data: unknown): FormData => {
  if (!(data instanceof FormData)) throw new TypeError("expected a form");
  return data;
};

/** Returns the message to show when the login fails. */
export const logIn = createServerFn({ method: "POST" })
  .validator(isForm)
  .handler(({ data }) =>
    inSession(async (session) => {
      const user = String(data.get("user"));
      // A real application checks a password here.
      if (!/^[a-z]+$/.test(user)) return "Your name has letters from a to z.";
      // The session gets a new token, and the old one is dead at once.
      await session.login(user, data.has("remember") ? { remember: "30d", idleTimeout: "7d" } : {});
      throw redirect({ to: "/account" });
    }),
  );

export const addNote = createServerFn({ method: "POST" })
  .validator(isForm)
  .handler(({ data }) =>
    inSession((session) => {
      // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
      session.update("notes", (notes = []) => [...notes, String(data.get("note"))]);
    }),
  );

export const logOut = createServerFn({ method: "POST" }).handler(() =>
  inSession(async (session) => {
    await session.logout();
    throw redirect({ to: "/" });
  }),
);

export const logOutEverywhere = createServerFn({ method: "POST" }).handler(() =>
  inSession(async (session) => {
    await manager.destroyByUser(session.requireUser(), { except: session });
    await session.logout();
    throw redirect({ to: "/" });
  }),
);
