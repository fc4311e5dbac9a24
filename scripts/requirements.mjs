/** What must be on the machine before anything else: Node, npm, a Rust toolchain, a linker. */

import { exists } from './run.mjs';

const NODE = [20, 19];

const TOOLS = [
  { command: 'npm', remedy: 'install it with Node.js: https://nodejs.org' },
  { command: 'cargo', remedy: 'install Rust: https://rustup.rs' },
  { command: 'cc', remedy: 'install a C compiler, Rust links with it: apt-get install gcc' },
];

/** Throws an error that names the first thing missing and what to do about it. */
export function checkRequirements() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < NODE[0] || (major === NODE[0] && minor < NODE[1])) {
    throw new Error(`Node.js ${NODE.join('.')} or later is needed, this is ${process.versions.node}`);
  }
  if (process.platform !== 'linux') throw new Error(`Linux is needed, this is ${process.platform}`);
  for (const { command, remedy } of TOOLS) {
    if (!exists(command)) throw new Error(`${command} is missing: ${remedy}`);
  }
}
