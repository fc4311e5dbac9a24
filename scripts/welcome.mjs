/** The files that `npm start` puts into its filesystem. */

import { root } from './run.mjs';

/** File name → text, for a filesystem mounted on `dir`. */
export const welcome = (dir) => ({
  'README.txt': `This directory is a filesystem that a Node.js program serves.

Try it, from another terminal:

  cd ${dir}
  ls -l
  echo 'hello from the shell' > note.txt
  cat note.txt hello.txt
  cp -r ${root}docs .

Each of these becomes requests that the kernel hands to TypeScript:

  ${root}packages/fs/src          the filesystem: everything is kept in memory
  ${root}packages/ringfuse/src    the library: mount(), requests, replies
  ${root}crates                   the part in Rust: the ring and the wire format

What is written here is gone when the program ends.
To end it, press Ctrl-C where \`npm start\` runs; that unmounts the filesystem.
`,
  'hello.txt': 'Hello from TypeScript.\n',
});
