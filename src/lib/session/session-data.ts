/**
 * The keys of an application's sessions and the types of their values. An application declares its own:
 *
 * @example
 * declare module "pgstore" {
 *   interface SessionData {
 *     message: string;
 *   }
 * }
 */
// oxlint-disable-next-line typescript/no-empty-object-type -- made to be augmented
export interface SessionData {}

/** The keys that `Data` declares, or any string if it declares none. */
export type SessionKey<Data> = keyof Data extends never ? string : keyof Data & string;

/** The type of a key's value, or unknown if `Data` declares no keys. */
export type SessionValue<Data, Key> = Key extends keyof Data ? Data[Key] : unknown;
