import type { Program } from "./program.ts";

/** Programs by experiment, each of which has shown a fault of a held response once. */
export const KNOWN: Record<"held" | "held2" | "trouble", Program[]> = { held: [], held2: [], trouble: [] };
