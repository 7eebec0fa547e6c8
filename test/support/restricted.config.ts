/** The tests as the role that can do what the program needs, and nothing else. */
process.env["PGSTORE_TEST_ROLE"] = "restricted";

export { default } from "../../vitest.config.ts";
