import { describe, it } from "vitest";
import { adapterContract } from "./adapter-contract.ts";
import { adapterHosts } from "./adapter-hosts.ts";

for (const [name, host] of Object.entries(adapterHosts)) {
  describe(`the adapter contract on ${name}`, () => {
    for (const [title, run] of Object.entries(adapterContract)) it(title, () => run(host));
  });
}
