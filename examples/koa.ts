import { text } from "node:stream/consumers";
import Koa from "koa";
import { openStore, SessionManager } from "pgstore";
import { session } from "pgstore/koa";

interface Data {
  notes: string[];
}

const store = await openStore();
const manager = new SessionManager<Data>(store, { idleTimeout: "1h" });

const app = new Koa().use(session(manager)); // types ctx.session of what follows

app.use(async (ctx) => {
  switch (`${ctx.method} ${ctx.path}`) {
    case "GET /":
      ctx.body = { user: ctx.session.userId, notes: ctx.session.get("notes") ?? [] };
      return;
    case "POST /login": {
      const form = new URLSearchParams(await text(ctx.req));
      // A real application checks a password first. The session gets a new token, and the old one is dead at once.
      await ctx.session.login(form.get("user") || "guest");
      break;
    }
    case "POST /notes": {
      const form = new URLSearchParams(await text(ctx.req));
      // update instead of get and set: if two tabs add a note at the same time, both notes are kept.
      ctx.session.update("notes", (notes = []) => [...notes, form.get("note") ?? ""]);
      break;
    }
    case "POST /logout":
      await ctx.session.logout();
      break;
    default:
      return;
  }
  ctx.redirect("/");
  ctx.status = 303;
});

const port = Number(process.env.PORT || 4000);
const server = app.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void store.close()));
}
