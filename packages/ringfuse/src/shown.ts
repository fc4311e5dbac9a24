/** Requests as `console.log` and `JSON.stringify` show them. */

/** Getters that are views of bytes shown elsewhere, or copies of them. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  'buffer',
  'unsafeBuffer',
  'nameBytes',
  'targetBytes',
  'newNameBytes',
  'exactOffset',
]);

/** Bytes of the request, which are shown as their number. */
const BYTES: ReadonlySet<string> = new Set(['data', 'value']);

const getters = new Map<object, readonly string[]>();

/** The getters of a request's class and of those below `base`, which has what all requests share. */
function gettersOf(request: object, base: object): readonly string[] {
  const first = Object.getPrototypeOf(request);
  let names = getters.get(first);
  if (names !== undefined) return names;
  const found = new Set<string>();
  for (let prototype = first; prototype !== base; prototype = Object.getPrototypeOf(prototype)) {
    for (const [name, { get, enumerable }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      // What is enumerable on a prototype is no getter of a class: those of guessed fields throw.
      if (get !== undefined && !enumerable && !LEFT_OUT.has(name)) found.add(name);
    }
  }
  names = [...found].reverse();
  getters.set(first, names);
  return names;
}

/**
 * The fields of a request that its class and the classes above it add, up to `base`, then its own but `hidden`. What
 * has gone with the reply is left out. `size` says how many bytes the request came with.
 */
export function shownFields(
  request: object,
  base: object,
  hidden: ReadonlySet<string>,
  size: () => number,
): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const name of gettersOf(request, base)) {
    try {
      const value = BYTES.has(name) ? size() : (request as Record<string, unknown>)[name];
      if (!Array.isArray(value) || value.length > 0) fields[name] = shown(value);
    } catch {
      // It was in the slot, which is another request's by now.
    }
  }
  for (const [name, value] of Object.entries(request)) if (!hidden.has(name)) fields[name] = shown(value);
  return fields;
}

/** A value that JSON can have: a bigint as its digits, bytes as their number. */
function shown(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return value.length;
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, shown(field)]));
}
