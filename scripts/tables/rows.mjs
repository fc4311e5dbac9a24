/** What the tables of the documentation have in common. */

import { TRANSPORTS } from '../transports.mjs';

/** Rows that differ in their transport alone, as one with `transports`, sorted by `key`. */
export function merged(rows, key) {
  const found = new Map();
  for (const row of rows) {
    const transports = [...(found.get(key(row))?.transports ?? []), row.transport];
    found.set(key(row), {
      ...row,
      transports: TRANSPORTS.filter((transport) => transports.includes(transport)),
    });
  }
  return [...found.keys()].sort().map((each) => found.get(each));
}

/** The rows of each kind under its title; a kind without rows is left out. */
export function sections(kinds, rows, lines) {
  return Object.entries(kinds).flatMap(([kind, title]) => {
    const ofKind = rows.filter((row) => row.kind === kind);
    return ofKind.length === 0 ? [] : [`## ${title}\n`, ...lines(ofKind), ''];
  });
}

/** A link from a document to a test. */
export function link(test) {
  return `[${test.replace(/^.*\//, '').replace(/\.ts$/, '')}](../${test})`;
}
