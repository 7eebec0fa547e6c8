import type { Session } from "pgstore";
import type { Data } from "$lib/server/sessions";

declare global {
  namespace App {
    interface Locals {
      session: Session<Data>;
    }
  }
}
