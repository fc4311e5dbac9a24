/**
 * Fails when Rust code is unsafe outside of the modules named here. The compiler denies `unsafe` in every module that
 * does not expect it (`unsafe_code` in Cargo.toml); this is the list of those that may.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { main, root, say } from './run.mjs';

/** Module → what is unsafe in it. */
const UNSAFE_MODULES = {
  'crates/ringfuse/src/device.rs': 'system calls over slot memory',
  'crates/ringfuse/src/forked.rs': 'pthread_atfork(3)',
  'crates/ringfuse/src/memory.rs': 'the slots’ memory',
  'crates/ringfuse/src/mount/received_descriptor.rs': 'descriptors that come over a socket',
  'crates/ringfuse/src/mount_id.rs': 'statx(2)',
  'crates/ringfuse/src/outside.rs': 'close_range(2) for one thread',
  'crates/ringfuse/src/ring.rs': 'the submission of slot memory to the kernel',
  'crates/ringfuse/src/stall/interrupt.rs': 'a signal’s handler',
  'crates/ringfuse-node/src/event_loop.rs': 'libuv and Node-API',
  'crates/ringfuse-node/src/file_descriptor.rs': 'descriptors that JavaScript owns',
  'crates/ringfuse-node/src/javascript_bytes.rs': 'Node-API',
  'crates/ringfuse-node/src/javascript_memory.rs': 'Node-API',
  'crates/ringfuse-node/src/nodes/file_handle.rs': 'name_to_handle_at(2) and open_by_handle_at(2)',
  'crates/ringfuse-node/src/system_calls/kernel.rs': 'system calls',
  'crates/ringfuse-node/src/turn.rs': 'Node-API',
};

/** Unsafe code itself, or a lint level that lets it in. */
const UNSAFE =
  /^(?!\s*\/\/).*(?:\bunsafe\s+(?:fn|impl|extern|trait)\b|\bunsafe\s*\{|\b(?:allow|expect|warn)\([^)]*\bunsafe_code\b)/m;

/** Where Rust sources of the workspace are. */
function* sources(folder) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== 'target') yield* sources(path);
    else if (entry.name.endsWith('.rs')) yield path;
  }
}

main(() => {
  const found = new Set(
    [...sources('crates')].filter((path) => UNSAFE.test(readFileSync(join(root, path), 'utf8'))),
  );
  const named = new Set(Object.keys(UNSAFE_MODULES));
  const problems = [
    ...[...found].filter((path) => !named.has(path)).map((path) => `${path} is unsafe`),
    ...[...named].filter((path) => !found.has(path)).map((path) => `${path} is not unsafe any more`),
  ];
  for (const problem of problems) say(`${problem}: see scripts/unsafe-modules.mjs`);
  if (problems.length > 0) throw new Error('the list of unsafe modules is not what the sources say');
  say(`unsafe code is in ${named.size} modules named for it`);
});
