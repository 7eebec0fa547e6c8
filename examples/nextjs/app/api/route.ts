import { getSession } from "pgstore/next";
import { manager } from "../../sessions";

export async function GET() {
  const session = await getSession(manager);
  return Response.json({ user: session.userId, notes: session.get("notes") ?? [] });
}
