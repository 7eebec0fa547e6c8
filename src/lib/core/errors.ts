/** What went wrong, as a constant that code can switch on. */
export type PgStoreErrorCode =
  | "STORE_UNAVAILABLE"
  | "STORE_FAILED"
  | "STORE_OVERLOADED"
  | "SCHEMA"
  | "SESSION_DECODE"
  | "SESSION_MISSING"
  | "SESSION_CONFLICT"
  | "SESSION_TOO_LARGE"
  | "LOGIN_REFUSED"
  | "ALREADY_COMMITTED"
  | "TYPE_ASSERTION"
  | "CSRF"
  | "LOGIN_REQUIRED"
  | "FRESH_LOGIN_REQUIRED";

/**
 * The family of every error that pgstore throws, besides `TypeError` for misuse.
 *
 * No message, property or cause of ours holds a token; the session's id may appear.
 */
export class PgStoreError extends Error {
  override readonly name: string = "PgStoreError";
  readonly code: PgStoreErrorCode;

  constructor(code: PgStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The database could not be asked or did not answer in time. Nothing is known about a write that was under way, except
 * that the client was told of no success.
 */
export class StoreUnavailableError extends PgStoreError {
  override readonly name = "StoreUnavailableError";

  constructor(message: string, options?: ErrorOptions) {
    super("STORE_UNAVAILABLE", message, options);
  }
}

/**
 * So many operations wait for the database already that another one would only wait in vain: it was not begun. The next
 * may succeed, as soon as some of them are done.
 */
export class StoreOverloadedError extends PgStoreError {
  override readonly name = "StoreOverloadedError";

  constructor(waiting: number) {
    super("STORE_OVERLOADED", `${waiting} operations of this kind wait for the database already`);
  }
}

/** The database refused a statement for a reason that waiting won't mend; `cause` is the driver's error. */
export class StoreError extends PgStoreError {
  override readonly name = "StoreError";

  constructor(message: string, options?: ErrorOptions) {
    super("STORE_FAILED", message, options);
  }
}

/** The table is missing or its columns are not the ones of the README; the message names the table and the remedy. */
export class SchemaError extends PgStoreError {
  override readonly name = "SchemaError";
  /** The table as an SQL identifier, quoted. */
  readonly table: string;

  constructor(table: string, message: string, options?: ErrorOptions) {
    super("SCHEMA", message, options);
    this.table = table;
  }
}

/**
 * The stored bytes of a session are not what the codec writes. The row is left as it is. Loading such a session gives a new one
 * and an event; it is thrown when a row has become so between a request's load and its commit.
 */
export class SessionDecodeError extends PgStoreError {
  override readonly name = "SessionDecodeError";
  /** The session's id: the token's SHA-256, even where the table holds the token itself. */
  readonly id: string;

  constructor(id: string, options?: ErrorOptions) {
    super("SESSION_DECODE", `the stored data of session ${id} can't be decoded`, options);
    this.id = id;
  }
}

/** `sessionOf(req)` was asked for a request that no middleware of this manager has seen. */
export class SessionMissingError extends PgStoreError {
  override readonly name = "SessionMissingError";

  constructor() {
    super("SESSION_MISSING", "the request has no session: wrap the handler with nodeHandler, connect or manage first");
  }
}

/** Parallel writers changed the session before each of our attempts to commit; nothing of this commit was stored. */
export class SessionConflictError extends PgStoreError {
  override readonly name = "SessionConflictError";
  /** The session's id, as in SessionDecodeError. */
  readonly id: string;

  constructor(id: string, attempts: number) {
    super("SESSION_CONFLICT", `session ${id} was changed by others before each of ${attempts} attempts to commit`);
    this.id = id;
  }
}

/** The session holds more than `maxBytes` allows; nothing of this commit was stored. */
export class SessionTooLargeError extends PgStoreError {
  override readonly name = "SessionTooLargeError";
  /** The session's id, as in SessionDecodeError. */
  readonly id: string;

  constructor(id: string, bytes: number, maxBytes: number) {
    super("SESSION_TOO_LARGE", `session ${id} has grown to ${bytes} bytes, and maxBytes allows ${maxBytes}`);
    this.id = id;
  }
}

/**
 * The user's sessions were ended while this login was under way, so it would be one of them: nobody was logged in. The
 * user may log in again, with the password that is valid now.
 */
export class LoginRefusedError extends PgStoreError {
  override readonly name = "LoginRefusedError";

  constructor() {
    super(
      "LOGIN_REFUSED",
      "login: the user's sessions were ended while it was under way. Ask the user to log in again",
    );
  }
}

/** What has committed a session for good: `save()`, `destroy()`, or the response's head. */
export type CommittedBy = "save" | "destroy" | "head";

/** What happened, and what to do instead. */
const COMMITTED_BY: Record<CommittedBy, string> = {
  save: "by save(): make the change before it",
  destroy: "by destroy() or logout(): call reset() instead, which ends the session and begins an empty one",
  head: "as the response's head has left: await a lazy session, and change any, before the first byte of the response",
};

/** The session was saved or destroyed already, and its cookie is on the way: a change now would be lost. SCS: ErrAlreadyWritten. */
export class AlreadyCommittedError extends PgStoreError {
  override readonly name = "AlreadyCommittedError";

  constructor(operation: string, by: CommittedBy) {
    super("ALREADY_COMMITTED", `${operation}: the session is committed already, ${COMMITTED_BY[by]}`);
  }
}

/** A typed getter of `pgstore/scs` met a value of another type. SCS: ErrTypeAssertionFailed. */
export class TypeAssertionError extends PgStoreError {
  override readonly name = "TypeAssertionError";
  readonly key: string;

  constructor(key: string, expected: string) {
    super("TYPE_ASSERTION", `the value of ${JSON.stringify(key)} is not ${expected}`);
    this.key = key;
  }
}

/** A request that was refused, for a reason that is its client's: adapters answer it by its status and log nothing. */
export class RefusedError extends PgStoreError {
  override readonly name: string = "RefusedError";
  /** The HTTP status, for frameworks that look at it. */
  readonly status: 401 | 403 | 413;
  readonly statusCode: 401 | 403 | 413;

  constructor(code: PgStoreErrorCode, status: 401 | 403 | 413, message: string) {
    super(code, message);
    this.status = status;
    this.statusCode = status;
  }

  /** The text for a plain answer. */
  get title(): string {
    return { 401: "Unauthorized", 403: "Forbidden", 413: "Content Too Large" }[this.status];
  }

  /** The answer, for frameworks that ask for it. */
  getResponse(): Response {
    const headers = { "Content-Type": "text/plain; charset=utf-8" };
    return new Response(`${this.title}\n`, { status: this.status, headers });
  }
}

/**
 * Why a request was refused: another host's page has sent it ("origin"), it has no CSRF token ("missing"), its token is not the session's
 * ("token"), or its form is longer than `maxFormBytes` ("size").
 */
export type CsrfReason = "origin" | "missing" | "token" | "size";

const CSRF_MESSAGES: Record<CsrfReason, string> = {
  origin: "the request comes from a page of another host",
  missing: "the request has no CSRF token",
  token:
    "the CSRF token is not that of this session: the form was opened before a login, or without the session's cookie",
  size: "the form is longer than maxFormBytes: raise it, or send the token in the header",
};

/**
 * A request that changes something did not come from one of the application's own pages, or came without the session's CSRF token. Its
 * status is 413 for a form that is too long, otherwise 403.
 */
export class CsrfError extends RefusedError {
  override readonly name = "CsrfError";
  readonly reason: CsrfReason;

  constructor(reason: CsrfReason) {
    super("CSRF", reason === "size" ? 413 : 403, CSRF_MESSAGES[reason]);
    this.reason = reason;
  }
}

/** `session.requireUser()` was asked of a session in which nobody is logged in. */
export class LoginRequiredError extends RefusedError {
  override readonly name = "LoginRequiredError";

  constructor() {
    super("LOGIN_REQUIRED", 401, "nobody is logged in");
  }
}

/** `session.requireFresh(age)` was asked of a session whose login is older: let the user prove again who they are. */
export class FreshLoginRequiredError extends RefusedError {
  override readonly name = "FreshLoginRequiredError";

  constructor() {
    super("FRESH_LOGIN_REQUIRED", 403, "the login is too long ago for this");
  }
}
