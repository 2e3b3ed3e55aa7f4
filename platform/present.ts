/**
 * Returns `{ [key]: value }`, or `{}` if the value is `undefined`: to be spread into an object with an optional key.
 */
export function present<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : { [key]: value } as { readonly [P in K]?: V };
}
