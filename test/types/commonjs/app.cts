import express = require("express");
import { MemoryStore, type Session, SessionManager } from "pgstore";
import { session } from "pgstore/express";
import pgstoreNode = require("pgstore/node");

/** A CommonJS program, as NestJS compiles to. */
interface Data {
  visits: number;
}

const manager = new SessionManager<Data>(new MemoryStore());
const app = express();
app.use(session(manager));
app.use(pgstoreNode.connect(manager));
app.get("/", (req, res) => {
  const own: Session<Data> = manager.sessionOf(req);
  // @ts-expect-error a mistyped key
  own.set("visit", 1);
  res.send(String(own.get("visits")));
});

export = app;
