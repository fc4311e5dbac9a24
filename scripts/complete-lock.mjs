/**
 * Puts the optional packages of other platforms into package-lock.json. npm leaves out those that the
 * registry in use does not carry, as many mirrors do, and `npm ci` then refuses the lock as incomplete.
 * What is put in has a name, an exact version and a platform, which is all that npm needs to pass over
 * it; only on that platform is it fetched.
 */

import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));

/** The `os`, `cpu` and `libc` of a platform package, by the convention of its name. */
function platformOf(name) {
  const [, os, cpu, libc] =
    /-(android|darwin|freebsd|linux|win32)-([a-z0-9]+)(?:-([a-z]+))?$/.exec(name) ?? [];
  if (os === undefined) return { cpu: ['wasm32'] };
  return { cpu: [cpu], ...(libc === 'musl' && { libc: ['musl'] }), os: [os] };
}

const entries = new Map(Object.entries(lock.packages));
for (const { optionalDependencies = {}, dev } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const key = `node_modules/${name}`;
    if (entries.has(key)) continue;
    entries.set(key, { version, ...(dev && { dev }), optional: true, ...platformOf(name) });
    console.log(`package-lock.json: added ${name}@${version}`);
  }
}
lock.packages = Object.fromEntries([...entries].sort(([a], [b]) => a.localeCompare(b, 'en')));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
