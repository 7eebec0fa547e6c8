// The former name of pgstore/scs.
export * from "./scs.ts";
