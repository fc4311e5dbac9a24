import { basename } from 'node:path';
import test from 'ava';
import { compile, examples } from '../support/examples.ts';

/** What the guides leave to the reader: a tree of nodes, their contents, and what an earlier example made. */
const READERS_OWN = `
import type * as files from 'node:fs';
import type * as library from 'ringfuse';
declare global {
  const { mount, serve }: typeof library;
  const fs: typeof files;
  const fd: number;
  const source: import('@ringfuse/fs').Mirror;
  const tree: {
    lookup(parent: number, name: string): library.EntryReply;
    attributes(ino: number): library.Attributes;
    list(ino: number): { name: string; ino: number }[];
    remove(parent: number, name: string): boolean;
  };
  const store: { read(ino: number, offset: number, size: number): Promise<Buffer> };
}
`;

/** An example as a module: handlers that stand alone, as in an object, are made one. */
const asModule = (code: string): string =>
  `${code.replace(/^\w+: [\s\S]*/m, 'export const handlers: import("ringfuse").Handlers = {\n$&\n};')}\nexport {};\n`;

for (const file of ['docs/guide.md', 'docs/mounting.md', 'packages/fs/README.md']) {
  test.serial(`the examples of ${file} compile`, async (t) => {
    const codes = await examples(file, 'ts');
    const programs = codes.map((code, index) => [`example-${index}`, asModule(code)]);
    t.true(codes.length > 0);
    await t.notThrowsAsync(
      compile(`documentation-${basename(file, '.md')}`, {
        'readers-own': READERS_OWN,
        ...Object.fromEntries(programs),
      }),
    );
  });
}
