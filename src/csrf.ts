export { CsrfProtection, csrfProtection, type CsrfOptions, type CsrfRequest } from "./lib/adapters/csrf.ts";
export { CsrfError } from "./lib/core/errors.ts";
