import type { Storable } from "../core/value.ts";

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

/**
 * Names the application's manager, so that `Session`, `req.session`, `request.session` and `ctx.session` have its types in every framework:
 * its data, and a promise with `lazy: true`.
 *
 * @example
 * export const manager = new SessionManager<Data>(store);
 * declare module "pgstore" {
 *   interface Register {
 *     manager: typeof manager;
 *   }
 * }
 */
// oxlint-disable-next-line typescript/no-empty-object-type -- made to be augmented
export interface Register {}

/** The keys that `Data` declares, or any string if it declares none. */
export type SessionKey<Data> = keyof Data extends never ? string : keyof Data & string;

/** The type of a key's value: unknown if `Data` declares no keys, never if a session can't hold the declared type. */
export type SessionValue<Data, Key> = Key extends keyof Data ? StorableOrNever<Exclude<Data[Key], undefined>> : unknown;

type StorableOrNever<T> = [T] extends [Storable<T>] ? T : never;

/** `unknown` if a session can hold all values that `Data` declares, otherwise a type that names the wrong keys. */
export type CheckedData<Data> = [UnstorableKey<Data>] extends [never]
  ? unknown
  : { "a session can't hold the values of": UnstorableKey<Data> };

type UnstorableKey<Data> = {
  [Key in keyof Data]-?: Exclude<Data[Key], undefined> extends infer Type
    ? [Type] extends [Storable<Type>]
      ? never
      : Key
    : never;
}[keyof Data];
