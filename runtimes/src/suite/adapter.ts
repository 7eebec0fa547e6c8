import { adapterContract, type AdapterHost } from "../../../test/contract/adapter-contract.ts";
import { adapterHosts } from "../../../test/contract/adapter-hosts.ts";
import { fetchApp } from "../../../test/contract/fetch-app.ts";
import type { Group } from "./group.ts";
import { serveFetch } from "./servers.ts";

/** The runtime's own server, by the fetch adapter. */
const ownServer: AdapterHost = {
  async serve(app) {
    const { port, close } = await serveFetch(fetchApp(app));
    return { url: `http://127.0.0.1:${port}`, close };
  },
};

/** The adapter contract on the runtime's own server, and on each framework. */
export const adapterGroups: Group[] = Object.entries({ "the runtime's server": ownServer, ...adapterHosts }).map(
  ([name, host]) => ({
    title: `the adapter contract on ${name}`,
    open: async () => {
      const promises = Object.entries(adapterContract).map(([title, run]) => [title, () => run(host)] as const);
      return { promises: Object.fromEntries(promises) };
    },
  }),
);
