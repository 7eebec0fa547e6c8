import type { ResolvedDashboard } from "./options.ts";

/** A request, as a web-standard Request and as the framework has it. */
export interface Visit {
  request: Request;
  /** The framework's own request, which `authorize` and the manager know. */
  original: object;
}

/** An authorized request, with the data that every page needs. */
export interface PageVisit extends Visit {
  dashboard: ResolvedDashboard;
  query: URLSearchParams;
  /** Milliseconds since 1970 by the store's clock. */
  now: number;
}

/** The viewer's session, with any data. */
interface ViewerSession {
  status?: unknown;
  id?: unknown;
  token?: unknown;
}

/** Returns the session that the manager's middleware has loaded, if it is stored. A lazy session is loaded now. */
export async function viewerSession({ dashboard, original }: PageVisit): Promise<ViewerSession | undefined> {
  const { manager } = dashboard;
  if (!manager.has(original)) return undefined;
  const session = (await manager.sessionOf(original)) as ViewerSession;
  return session.status === "new" || session.status === "destroyed" ? undefined : session;
}

/** Returns the id of the viewer's own session. */
export async function currentIdOf(visit: PageVisit): Promise<string | undefined> {
  const { currentSession } = visit.dashboard;
  const id = currentSession ? await currentSession(visit.original) : (await viewerSession(visit))?.id;
  return typeof id === "string" ? id : undefined;
}
