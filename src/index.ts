/*
 * Layout of the source. A folder imports only from folders of lower layers. test/architecture.test.ts checks that.
 *
 *   src/*.ts             one entry for each key of `exports`, with re-exports only
 *   src/lib/
 *     core/              the vocabulary: Store, Codec, Value, errors, events, options, token, time
 *     codec/             a session as bytes: SCS's JSON, encrypted
 *     http/              header text in and out: cookies, caching, CSRF tokens, same origin
 *     session/           one session in one request: Session, its state and values, the plan of a commit
 *     manager/           from a request's token to a response's cookie: load, commit, sessions of a user
 *     memory/            the store in memory: the reference of the contract
 *     postgres/          PgStore: drivers/ (one file per client), sql/ (every statement), execution/ (queueing, batching, sending, retrying)
 *     otel/              metrics and spans
 *     adapters/          one file per framework; held/ holds a Node response until its session is stored
 *     testing/           sessions and clocks for the tests of applications
 *     scs/               SCS's functions
 *     express-session/   the store for express-session and @fastify/session
 *     dashboard/         the web page for operators
 *     cli/               npx pgstore
 *
 * Read first: session/plan.ts, then manager/loader.ts and manager/committer.ts, then postgres/execution/batcher.ts.
 */
export { PgStore } from "./lib/postgres/pg-store.ts";
export type { CloseOptions, PgStoreOptions } from "./lib/postgres/options.ts";
export type { BatchOptions } from "./lib/postgres/options.ts";
export type { CleanupOptions, CleanupProgress } from "./lib/postgres/cleanup.ts";
export type { DiagnoseOptions, DiagnoseProgress, Finding, FindingSubject } from "./lib/postgres/check/finding.ts";
export { openStore } from "./lib/postgres/open.ts";
export { MemoryStore, type MemoryStoreOptions } from "./lib/memory/memory-store.ts";
export { SessionManager } from "./lib/manager/session-manager.ts";
export type { Credentials } from "./lib/manager/loader.ts";
export type { CookieOptions } from "./lib/manager/cookie-options.ts";
export type { FailedRequest, FailedResponse, SessionOptions } from "./lib/manager/options.ts";
export type {
  DestroyAllOptions,
  DestroyByIdOptions,
  DestroyByUserOptions,
  ListOptions,
  UserSession,
} from "./lib/manager/user-sessions.ts";
export type { EndEvent, LoginEvent } from "./lib/manager/hooks.ts";
export type { RequestClient } from "./lib/session/request.ts";
export type {
  AddressPage,
  FoundSession,
  HistoryPoint,
  StoreOperations,
  StorePlace,
  StoreStats,
  UserEntry,
  UserOrder,
  UserPage,
  UserQuery,
} from "./lib/core/stats.ts";
export type { OperationOptions } from "./lib/core/store.ts";
export type {
  OwnedEntry,
  OwnedPlace,
  Owner,
  TaggedEntry,
  UserStore,
  WriteOptions,
  WriteOutcome,
} from "./lib/core/store.ts";
export type { CommitContext, CommitResult } from "./lib/manager/commit-result.ts";
export type { SessionCookie, SessionCookieOptions } from "./lib/http/cookie.ts";
export type { LazySession, RequestSession, SessionFor } from "./lib/manager/lazy-session.ts";
export type {
  BatchEvent,
  CleanupEvent,
  CommitEvent,
  InvalidEvent,
  LoadEvent,
  SessionEvent,
  StoreErrorEvent,
} from "./lib/core/events.ts";
export { Session } from "./lib/session/session.ts";
export type { LoginOptions } from "./lib/session/login-options.ts";
export type { SessionStatus } from "./lib/session/state.ts";
// Applications can augment SessionData through "pgstore" only if it is re-exported with a star.
export * from "./lib/session/session-data.ts";
export type {
  ConditionalStore,
  EndingStore,
  Found,
  Store,
  StoredEntry,
  StoredSession,
  StoreExtras,
  TouchOptions,
} from "./lib/core/store.ts";
export type { BunSql, DatabaseClient, PgClient, PostgresSql } from "./lib/postgres/drivers/driver.ts";
export type { Codec, DecodedSession } from "./lib/core/codec.ts";
export type { Storable, Value } from "./lib/core/value.ts";
export type { SchemaIssue, SchemaResult, StandardSchema } from "./lib/core/standard-schema.ts";
export type { OnInvalid, SessionSchema } from "./lib/session/schema.ts";
export type { Duration } from "./lib/core/options.ts";
export {
  AlreadyCommittedError,
  PgStoreError,
  type PgStoreErrorCode,
  SchemaError,
  LoginRefusedError,
  SessionConflictError,
  CsrfError,
  FreshLoginRequiredError,
  LoginRequiredError,
  RefusedError,
  SessionDecodeError,
  SessionInvalidError,
  SessionMissingError,
  SessionTooLargeError,
  StoreError,
  StoreOverloadedError,
  StoreUnavailableError,
} from "./lib/core/errors.ts";
