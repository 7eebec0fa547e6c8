export { CsrfProtection, csrfProtection, type CsrfOptions, type CsrfRequest } from "./lib/http/csrf.ts";
export { CsrfError } from "./lib/base/errors.ts";
