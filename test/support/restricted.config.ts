/** Runs the tests as a role with only the rights that the program needs. */
process.env["PGSTORE_TEST_ROLE"] = "restricted";

export { default } from "../../vitest.config.ts";
