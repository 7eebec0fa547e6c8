import type { SchemaIssue } from "./standard-schema.ts";

/** The kind of an error, as a constant to switch on. */
export type PgStoreErrorCode =
  | "STORE_UNAVAILABLE"
  | "STORE_FAILED"
  | "STORE_OVERLOADED"
  | "SCHEMA"
  | "SESSION_DECODE"
  | "SESSION_MISSING"
  | "SESSION_CONFLICT"
  | "SESSION_TOO_LARGE"
  | "SESSION_INVALID"
  | "LOGIN_REFUSED"
  | "ALREADY_COMMITTED"
  | "TYPE_ASSERTION"
  | "CSRF"
  | "LOGIN_REQUIRED"
  | "FRESH_LOGIN_REQUIRED";

/**
 * The base class of every error that pgstore throws, except `TypeError` for misuse.
 *
 * No message, property or cause contains a token. The session's id may appear.
 *
 * @example
 * if (error instanceof PgStoreError && error.code === "STORE_UNAVAILABLE") response.statusCode = 503;
 */
export class PgStoreError extends Error {
  override readonly name: string = "PgStoreError";
  readonly code: PgStoreErrorCode;

  /** Makes an error of a kind. */
  constructor(code: PgStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * The database could not be reached or did not answer in time. A write under way may or may not have been carried out.
 * No success was reported to the client.
 */
export class StoreUnavailableError extends PgStoreError {
  override readonly name = "StoreUnavailableError";

  /** Makes the error. */
  constructor(message: string, options?: ErrorOptions) {
    super("STORE_UNAVAILABLE", message, options);
  }
}

/**
 * Too many operations are waiting for the database, so this one was not begun. A later one may succeed.
 */
export class StoreOverloadedError extends PgStoreError {
  override readonly name = "StoreOverloadedError";

  /** Makes the error. @param waiting - the number of waiting operations */
  constructor(waiting: number) {
    super("STORE_OVERLOADED", `${waiting} operations of this kind are already waiting for the database`);
  }
}

/** The database refused a statement for a permanent reason. `cause` is the driver's error. */
export class StoreError extends PgStoreError {
  override readonly name = "StoreError";

  /** Makes the error. */
  constructor(message: string, options?: ErrorOptions) {
    super("STORE_FAILED", message, options);
  }
}

/** The table is missing or lacks a column. The message names the table and the remedy, usually `migrate`. */
export class SchemaError extends PgStoreError {
  override readonly name = "SchemaError";
  /** The table as an SQL identifier, quoted. */
  readonly table: string;

  /** Makes the error. */
  constructor(table: string, message: string, options?: ErrorOptions) {
    super("SCHEMA", message, options);
    this.table = table;
  }
}

/**
 * The codec can't decode the stored bytes of a session. The row is left as it is. Loading such a session gives a new one and publishes an
 * event. The error is thrown only when the row became unreadable between a request's load and its commit.
 */
export class SessionDecodeError extends PgStoreError {
  override readonly name = "SessionDecodeError";
  /** The session's id: the token's SHA-256, even where the table holds the token itself. */
  readonly id: string;

  /** Makes the error. @param id - safe to show */
  constructor(id: string, options?: ErrorOptions) {
    super("SESSION_DECODE", `the stored data of session ${id} can't be decoded`, options);
    this.id = id;
  }
}

/** `sessionOf(req)` was called for a request that no middleware of this manager has handled. */
export class SessionMissingError extends PgStoreError {
  override readonly name = "SessionMissingError";

  /** Makes the error. */
  constructor() {
    super("SESSION_MISSING", "the request has no session: wrap the handler with nodeHandler, connect or manage first");
  }
}

/** Parallel requests changed the session before every attempt to commit. Nothing of this commit was stored. */
export class SessionConflictError extends PgStoreError {
  override readonly name = "SessionConflictError";
  /** The session's id: the token's SHA-256, even where the table holds the token itself. */
  readonly id: string;

  /** Makes the error. @param id - safe to show */
  constructor(id: string, attempts: number) {
    super(
      "SESSION_CONFLICT",
      `session ${id} was changed by other requests before each of ${attempts} attempts to commit`,
    );
    this.id = id;
  }
}

/** The schema of a key refuses a value. Nothing of a commit with such a value was stored. The message names only the key. */
export class SessionInvalidError extends PgStoreError {
  override readonly name = "SessionInvalidError";
  /** The session's key. */
  readonly key: string;
  // Private, because logs show an error's own properties.
  readonly #issues: readonly SchemaIssue[];

  /** Makes the error. @param what - the value's origin, for the message */
  constructor(key: string, what: string, issues: readonly SchemaIssue[]) {
    super("SESSION_INVALID", `session key ${JSON.stringify(key)}: the schema refuses the ${what}`);
    this.key = key;
    this.#issues = issues;
  }

  /** The problems that the schema has found. Their messages may quote the value: don't log them. */
  get issues(): readonly SchemaIssue[] {
    return this.#issues;
  }
}

/** The encoded session exceeds `maxBytes`. Nothing of this commit was stored. */
export class SessionTooLargeError extends PgStoreError {
  override readonly name = "SessionTooLargeError";
  /** The session's id: the token's SHA-256, even where the table holds the token itself. */
  readonly id: string;

  /** Makes the error. @param id - safe to show */
  constructor(id: string, bytes: number, maxBytes: number) {
    super("SESSION_TOO_LARGE", `session ${id} has ${bytes} bytes, more than maxBytes allows: ${maxBytes}`);
    this.id = id;
  }
}

/**
 * The user's sessions were revoked during this login, so it was refused. The user may log in again, with the current password.
 */
export class LoginRefusedError extends PgStoreError {
  override readonly name = "LoginRefusedError";

  /** Makes the error. */
  constructor() {
    super("LOGIN_REFUSED", "login: the user's sessions were revoked during the login. Ask the user to log in again");
  }
}

/** The final commit of a session: `save()`, `destroy()`, the response's head, the end of a function's work, or reading for a page. */
export type CommittedBy = "save" | "destroy" | "head" | "work" | "page";

/** The cause in the message, with the remedy. */
const COMMITTED_BY: Record<CommittedBy, string> = {
  save: "by save(): make the change before it",
  destroy: "by destroy() or logout(): call reset() instead, which ends the session and begins an empty one",
  head: "with the response's head: await a lazy session and make changes before the first byte of the response",
  work: "at the end of the function that it was opened for: await every step that changes it in that function",
  page: "because getSession() only reads: change it in a function wrapped by action(manager, …)",
};

/** The session is already committed, so a change would be lost. SCS: ErrAlreadyWritten. */
export class AlreadyCommittedError extends PgStoreError {
  override readonly name = "AlreadyCommittedError";

  /** Makes the error. @param operation - the method that was called too late */
  constructor(operation: string, by: CommittedBy) {
    super("ALREADY_COMMITTED", `${operation}: the session is already committed, ${COMMITTED_BY[by]}`);
  }
}

/** A typed getter of `pgstore/scs` found a value of another type. SCS: ErrTypeAssertionFailed. */
export class TypeAssertionError extends PgStoreError {
  override readonly name = "TypeAssertionError";
  readonly key: string;

  /** Makes the error. @param expected - the type with its article: `"a string"` */
  constructor(key: string, expected: string) {
    super("TYPE_ASSERTION", `the value of ${JSON.stringify(key)} is not ${expected}`);
    this.key = key;
  }
}

/** A request was refused because of its client. Adapters answer it with `status` and log nothing. */
export class RefusedError extends PgStoreError {
  override readonly name: string = "RefusedError";
  /** The HTTP status of the response. */
  readonly status: 401 | 403 | 413;
  /** The same as `status`, for frameworks that read this name. */
  readonly statusCode: 401 | 403 | 413;

  /** Makes an error with a status. */
  constructor(code: PgStoreErrorCode, status: 401 | 403 | 413, message: string) {
    super(code, message);
    this.status = status;
    this.statusCode = status;
  }

  /** The reason phrase of the status, as the text of a plain response. */
  get title(): string {
    return { 401: "Unauthorized", 403: "Forbidden", 413: "Content Too Large" }[this.status];
  }

  /** Makes a plain-text response, for frameworks that ask the error for one. */
  getResponse(): Response {
    const headers = { "Content-Type": "text/plain; charset=utf-8" };
    return new Response(`${this.title}\n`, { status: this.status, headers });
  }
}

/**
 * The reason of a refused request: a page of another host sent it ("origin"), it has no CSRF token ("missing"), its token is not the
 * session's ("token"), or its form exceeds `maxFormBytes` ("size").
 */
export type CsrfReason = "origin" | "missing" | "token" | "size";

const CSRF_MESSAGES: Record<CsrfReason, string> = {
  origin: "the request comes from a page of another host",
  missing: "the request has no CSRF token",
  token: "the CSRF token is not this session's: the form was opened before a login, or without the session's cookie",
  size: "the form is longer than maxFormBytes: raise it, or send the token in the header",
};

/**
 * A request with an unsafe method did not come from one of the application's pages, or lacks the session's CSRF token. The status is 413 for
 * a form that is too long, otherwise 403.
 */
export class CsrfError extends RefusedError {
  override readonly name = "CsrfError";
  /** The reason of the refusal. */
  readonly reason: CsrfReason;

  /** Makes the error. */
  constructor(reason: CsrfReason) {
    super("CSRF", reason === "size" ? 413 : 403, CSRF_MESSAGES[reason]);
    this.reason = reason;
  }
}

/** `session.requireUser()` was called while no user was logged in. */
export class LoginRequiredError extends RefusedError {
  override readonly name = "LoginRequiredError";

  /** Makes the error, with status 401. */
  constructor() {
    super("LOGIN_REQUIRED", 401, "no user is logged in: ask the user to log in");
  }
}

/** `session.requireFresh(age)` was called on a session with an older login. Ask for the password and call `reauthenticate`. */
export class FreshLoginRequiredError extends RefusedError {
  override readonly name = "FreshLoginRequiredError";

  /** Makes the error, with status 403. */
  constructor() {
    super(
      "FRESH_LOGIN_REQUIRED",
      403,
      "the login is too old for this: ask for the password again and call reauthenticate",
    );
  }
}
