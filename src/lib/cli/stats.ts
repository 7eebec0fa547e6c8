import { bytes, count, durationText } from "../core/format-number.ts";
import { MAX_EXPIRED, type StoreStats } from "../core/stats.ts";
import { type Answer, EXIT } from "./answer.ts";
import { type CommonOptions, onStore } from "./connection.ts";
import type { Style } from "./style.ts";
import { instant } from "./terminal.ts";

/** Prints the statistics of the store. */
export async function stats(options: CommonOptions): Promise<Answer> {
  return onStore(options, async ({ operations, location, table, layout }) => {
    const found = await operations.stats();
    const { loggedIn = null, users = null, cleanup = null } = found;
    // Unknown values are null, and so is the limit of the last range, which is open.
    const json = { table: table.quoted, location, ...found, loggedIn, users, cleanup };
    return { text: (style) => textOf(found, layout.users, style), json, exitCode: EXIT.ok };
  });
}

function textOf(found: StoreStats, canHaveUsers: boolean, { dim }: Style): string {
  const about = found.isEstimate ? "about " : "";
  const unknown = canHaveUsers ? "unknown: run npx pgstore migrate to add what this needs" : "unknown on this table";
  const number = (value: number | undefined): string => (value === undefined ? unknown : about + count(value));
  const { cleanup } = found;
  const lines: [name: string, value: string][] = [
    ["Live sessions", number(found.live)],
    ["Logged in", number(found.loggedIn)],
    ["Users", number(found.users)],
    ["Expired, to be removed", count(found.expired) + (found.expired < MAX_EXPIRED ? "" : " or more")],
    ...found.expiring.map(({ within, count: many }): [string, string] => [
      within === Number.POSITIVE_INFINITY ? "Ends later" : `Ends within ${durationText(within)}`,
      about + count(many),
    ]),
    ["Table", bytes(found.tableBytes)],
    ["Indexes", bytes(found.indexBytes)],
    [
      "Last cleanup",
      cleanup === undefined
        ? "none on record"
        : `${instant(cleanup.at)}, ${count(cleanup.removed)} removed in ${durationText(cleanup.took)}`,
    ],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${dim(name.padEnd(width))}  ${value}`).join("\n");
}
