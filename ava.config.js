/** Mounts are tested one at a time, each file in a process of its own: a crash there is a failed test here. */
export default {
  files: ['build/__test__/**/*.test.js'],
  workerThreads: false,
  concurrency: 1,
  timeout: '2m',
  nodeArguments: ['--enable-source-maps'],
};
