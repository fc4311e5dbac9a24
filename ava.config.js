/**
 * Mounts are tested one at a time, each file in a process of its own: a crash there is a failed test here.
 *
 * A run is over one transport, that of RINGFUSE_TEST_TRANSPORT, and every Node.js process that it starts has the
 * witness with it. RINGFUSE_TEST_UNITS=no leaves out the tests that mount nothing.
 */

import { fileURLToPath } from 'node:url';

const { RINGFUSE_TEST_TRANSPORT = 'io_uring', RINGFUSE_TEST_UNITS = 'yes' } = process.env;
const witness = fileURLToPath(new URL('build/__test__/support/witness.js', import.meta.url));

export default {
  files: [
    'build/__test__/**/*.test.js',
    ...(RINGFUSE_TEST_UNITS === 'no' ? ['!build/__test__/unit/**'] : []),
  ],
  environmentVariables: { RINGFUSE_TEST_TRANSPORT, NODE_OPTIONS: `--import=${witness}` },
  workerThreads: false,
  concurrency: 1,
  timeout: '2m',
  nodeArguments: ['--enable-source-maps'],
};
