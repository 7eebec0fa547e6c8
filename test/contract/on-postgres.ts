import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import type { PgStoreOptions } from "../../src/index.ts";
import { emptyHost, type OpenClient } from "./postgres-host.ts";
import { storeContract, type StoreHost } from "./store-contract.ts";

/** Runs the contract on a client of a database that has the table. */
export function onPostgres(name: string, open: () => Promise<OpenClient>, options?: PgStoreOptions): void {
  describe(`the store contract on ${name}`, () => {
    let opened: OpenClient;
    let host: StoreHost;
    beforeAll(async () => {
      opened = await open();
    });
    beforeEach(async () => {
      host = await emptyHost(opened, options);
    });
    afterAll(() => opened.close());
    for (const [title, run] of Object.entries(storeContract)) it(title, () => run(host));
  });
}
