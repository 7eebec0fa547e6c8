import { Body, Controller, Get, Module, Post, Redirect, UseGuards } from "@nestjs/common";
import type { Session } from "pgstore";
import { CurrentSession, LoggedIn, Sessions, SessionsModule } from "./sessions.module.js";

@Controller()
export class AppController {
  constructor(private readonly sessions: Sessions) {}

  @Get()
  read(@CurrentSession() session: Session) {
    return { user: session.userId, notes: session.get("notes") ?? [] };
  }

  @Post("login")
  @Redirect("/", 303)
  async logIn(@CurrentSession() session: Session, @Body() body?: { user?: string }) {
    // A real application checks a password first. The session gets a new token, and the old one is dead at once.
    await session.login(String(body?.user || "guest"));
  }

  @Post("notes")
  @Redirect("/", 303)
  addNote(@CurrentSession() session: Session, @Body() body?: { note?: string }) {
    const note = String(body?.note ?? "");
    session.update("notes", (notes = []) => [...notes, note]);
  }

  @Post("logout")
  @Redirect("/", 303)
  async logOut(@CurrentSession() session: Session) {
    await session.logout();
  }

  @Get("devices")
  @UseGuards(LoggedIn)
  devices(@CurrentSession() session: Session) {
    return this.sessions.manager.listByUser(session.requireUser(), { current: session });
  }
}

@Module({ imports: [SessionsModule], controllers: [AppController] })
export class AppModule {}
