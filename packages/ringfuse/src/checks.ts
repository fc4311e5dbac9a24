/** Checks of options: each says what the value should have been, undefined if it is that. */
export type Check = (value: unknown) => string | undefined;

export const boolean: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');

/** One of some words. */
export const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.includes(value as string) ? undefined : `one of ${words.join(', ')}`;
