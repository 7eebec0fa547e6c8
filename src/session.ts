// Alias of pgstore/scs, kept because it is the former name.
export * from "./scs.ts";
