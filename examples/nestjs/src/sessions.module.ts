import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  createParamDecorator,
  type ExecutionContext,
  HttpException,
  Injectable,
  Module,
  type OnApplicationShutdown,
} from "@nestjs/common";
import { APP_FILTER, BaseExceptionFilter } from "@nestjs/core";
import { openStore, type PgStore, RefusedError, type Session, SessionManager } from "pgstore";

declare module "pgstore" {
  interface SessionData {
    notes: string[];
  }
}

/** The sessions of the application, for every provider that asks for them. */
@Injectable()
export class Sessions implements OnApplicationShutdown {
  constructor(
    readonly store: PgStore,
    readonly manager: SessionManager,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.store.close();
  }
}

/** Answers `requireUser` and `requireFresh` with 401 and 403, without a line in the log. */
@Catch(RefusedError)
export class Refusals extends BaseExceptionFilter {
  override catch(error: RefusedError, host: ArgumentsHost): void {
    super.catch(new HttpException(error.message, error.status, { cause: error }), host);
  }
}

@Module({
  providers: [
    { provide: APP_FILTER, useClass: Refusals },
    {
      provide: Sessions,
      useFactory: async () => {
        const store = await openStore(); // or new PgStore(pool)
        return new Sessions(store, new SessionManager(store, { idleTimeout: "1h" }));
      },
    },
  ],
  exports: [Sessions],
})
export class SessionsModule {}

/** The session of the request, as an argument of a handler. */
export const CurrentSession = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Session => context.switchToHttp().getRequest().session,
);

/** Lets in users who are logged in. */
@Injectable()
export class LoggedIn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const session: Session = context.switchToHttp().getRequest().session;
    session.requireUser();
    return true;
  }
}
