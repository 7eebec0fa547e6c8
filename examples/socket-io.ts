import { createServer } from "node:http";
import express from "express";
import { openStore, SessionManager } from "pgstore";
import { connect, fromUpgrade } from "pgstore/node";
import { Server } from "socket.io";

const store = await openStore();
const manager = new SessionManager<{ notes: string[] }>(store, { idleTimeout: "1h" });

const app = express();
app.use(connect(manager));
app.use(express.urlencoded({ extended: false }));
const server = createServer(app);
const io = new Server(server);

// Lets in users who are logged in, from pages of this host. The socket is closed when the session ends.
io.use(async (socket, next) => {
  try {
    const live = await fromUpgrade(manager, socket.request);
    const { userId } = live.session;
    // A visitor who is not logged in, or a tab that has been closed meanwhile.
    if (userId === undefined || socket.conn.readyState !== "open") {
      live.close();
      return next(new Error("log in first"));
    }
    socket.on("disconnect", () => live.close());
    live.signal.addEventListener("abort", () => socket.disconnect(true));
    // The session as of now, however long ago the handshake was.
    socket.on("notes", async (answer: (notes: string[]) => void) => {
      const session = await live.reload();
      answer(session.get("notes") ?? []);
    });
    await socket.join(`user:${userId}`);
    return next();
  } catch (error) {
    return next(error as Error);
  }
});

app.get("/", (req, res) => {
  const session = manager.sessionOf(req);
  res.json({ user: session.userId, notes: session.get("notes") ?? [] });
});

app.post("/login", async (req, res) => {
  // A real application checks a password first. The session gets a new token, and the old one is dead at once.
  await manager.sessionOf(req).login(String(req.body?.user || "guest"));
  res.redirect(303, "/");
});

app.post("/notes", async (req, res) => {
  const session = manager.sessionOf(req);
  const note = String(req.body?.note ?? "");
  session.update("notes", (notes = []) => [...notes, note]);
  await session.save(); // a tab that asks for the notes now finds this one
  if (session.userId !== undefined) io.to(`user:${session.userId}`).emit("note", note);
  res.redirect(303, "/");
});

app.post("/logout", async (req, res) => {
  await manager.sessionOf(req).logout();
  res.redirect(303, "/");
});

const port = Number(process.env.PORT || 4000);
server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}`));

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => void io.close(() => void store.close()));
}
