/**
 * Which keys a valibot schema has, and where.
 *
 * @module
 */

/** Returns the keys that a schema allows at a path. It walks through objects, records, arrays and their wrappers. */
export function validKeys(schema: unknown, path: readonly (string | number)[]): readonly string[] {
  const wrapped = property(schema, "wrapped");
  if (wrapped !== undefined) return validKeys(wrapped, path);
  const options = property(schema, "options");
  if (Array.isArray(options)) return options.flatMap((option) => validKeys(option, path));
  const entries = property(schema, "entries");
  const [key, ...rest] = path;
  if (key === undefined) return Object.keys(entries ?? {});
  const next = property(entries, String(key)) ?? property(schema, "item") ?? property(schema, "value");
  return next === undefined ? [] : validKeys(next, rest);
}

/** Returns the paths of the mappings that have a key, in whatever letters. Lists and records are not looked into. */
export function placesOf(schema: unknown, key: string): readonly (readonly string[])[] {
  const wrapped = property(schema, "wrapped");
  if (wrapped !== undefined) return placesOf(wrapped, key);
  const options = property(schema, "options");
  if (Array.isArray(options)) return options.flatMap((option) => placesOf(option, key));
  const entries = Object.entries(property(schema, "entries") ?? {});
  const isHere = entries.some(([name]) => name.toLowerCase() === key.toLowerCase());
  const below = entries.flatMap(([name, entry]) => placesOf(entry, key).map((path) => [name, ...path]));
  return isHere ? [[], ...below] : below;
}

/** Returns a property that is an object; `undefined` if there is none. */
export function property(value: unknown, key: string): object | undefined {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  const found: unknown = Reflect.get(value, key);
  return typeof found === "object" && found !== null ? found : undefined;
}
