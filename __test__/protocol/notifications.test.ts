import { once } from 'node:events';
import { watch } from 'node:fs';
import * as fs from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Handlers, WriteRequest } from 'ringfuse';
import { attributesOf, HANDLE, NODES, recording } from '../support/recorder.ts';
import { protocolTest } from '../support/results.ts';

const UNKNOWN = 4711;

/** A file whose contents the test changes behind the kernel's back. */
function changing(contents: { text: string }): Handlers {
  const attr = () => ({ mode: 0o100644, size: contents.text.length });
  return {
    lookup: ({ name }) =>
      name === 'file'
        ? { ino: NODES.file, attr: attr() }
        : name === 'dir'
          ? { ino: NODES.dir, attr: attributesOf(NODES.dir) }
          : null,
    getattr: ({ ino }) => ({ attr: ino === NODES.file ? attr() : attributesOf(ino) }),
    open: () => ({ fh: HANDLE, openFlags: 2 }),
    read: ({ offset, size }) => Buffer.from(contents.text).subarray(offset, offset + size),
  };
}

const LONG = { entryTimeout: 1000, attrTimeout: 1000 };

protocolTest(
  'invalInode drops attributes and pages; of an unknown node it is false',
  [
    {
      kind: 'notification',
      name: 'INVAL_INODE',
      call: 'stat(2), read(2)',
      result: 'asked again; false if unknown',
    },
  ],
  async (t, transport) => {
    const contents = { text: 'before' };
    const { path, mount } = await recording(t, transport, changing(contents), LONG);
    const read = () => fs.readFile(path('file'), 'utf8');
    t.is(await read(), 'before');
    contents.text = 'AFTER!';
    t.is(await read(), 'before');
    t.true(await mount.notify.invalInode(NODES.file));
    t.is(await read(), 'AFTER!');
    t.is((await fs.stat(path('file'))).size, 6);
    contents.text = 'longer than before';
    t.is((await fs.stat(path('file'))).size, 6);
    t.true(await mount.notify.invalInode(NODES.file, -1));
    t.is((await fs.stat(path('file'))).size, contents.text.length);
    t.false(await mount.notify.invalInode(UNKNOWN));
  },
);

protocolTest(
  'invalEntry, expireEntry and incEpoch let names be looked up again, delete tells watchers',
  [
    {
      kind: 'notification',
      name: 'INVAL_ENTRY',
      call: 'stat(2)',
      result: 'looked up again; false if unknown',
    },
    { kind: 'notification', name: 'INVAL_ENTRY (EXPIRE_ONLY)', call: 'stat(2)', result: 'looked up again' },
    { kind: 'notification', name: 'INC_EPOCH', call: 'stat(2)', result: 'every name looked up again' },
    { kind: 'notification', name: 'DELETE', call: 'inotify(7)', result: 'IN_DELETE_SELF; false if unknown' },
  ],
  async (t, transport) => {
    const { path, mount, of, recorder } = await recording(t, transport, {}, LONG);
    const lookups = async (name: string) => {
      recorder.clear();
      await fs.stat(path(name)).catch(() => undefined);
      return of('lookup').length;
    };
    t.is(await lookups('file'), 1);
    t.is(await lookups('file'), 0);
    t.true(await mount.notify.invalEntry(NODES.root, 'file'));
    t.is(await lookups('file'), 1);
    t.true(await mount.notify.expireEntry(NODES.root, Buffer.from('file')));
    t.is(await lookups('file'), 1);
    t.is(await lookups('file'), 0);
    t.is(await lookups('dir'), 1);
    t.true(await mount.notify.incEpoch());
    t.is(await lookups('file'), 1);
    t.is(await lookups('dir'), 1);
    t.is(await lookups('dir'), 0);

    t.false(await mount.notify.invalEntry(UNKNOWN, 'file'));
    t.false(await mount.notify.invalEntry(NODES.root, 'never looked up'));
    t.false(await mount.notify.expireEntry(NODES.root, 'never looked up'));
    t.false(await mount.notify.delete(NODES.root, NODES.file, 'never looked up'));
    await t.throwsAsync(mount.notify.invalEntry(NODES.root, 'with/slash'), { instanceOf: TypeError });
    await t.throwsAsync(mount.notify.invalEntry(NODES.root, 'x'.repeat(256)), { instanceOf: TypeError });

    const watcher = watch(path('dir'));
    const told = once(watcher, 'change');
    await fs.stat(path('dir'));
    t.true(await mount.notify.delete(NODES.root, NODES.dir, 'dir'));
    t.is((await told)[0], 'rename');
    watcher.close();
    t.is(await lookups('dir'), 1);
  },
);

protocolTest(
  'store puts bytes into the cache, retrieve takes them out',
  [
    { kind: 'notification', name: 'STORE', call: 'read(2)', result: 'the stored bytes; false if unknown' },
    {
      kind: 'notification',
      name: 'RETRIEVE',
      call: 'read(2)',
      result: 'the cached bytes; undefined if unknown',
    },
  ],
  async (t, transport) => {
    const contents = { text: 'x'.repeat(10_000) };
    const { path, mount, of } = await recording(t, transport, changing(contents), LONG);
    await fs.stat(path('file'));
    t.is((await mount.notify.retrieve(NODES.file, 0, 10_000))?.length, 0);
    t.true(await mount.notify.store(NODES.file, 0, Buffer.alloc(8192, 'stored. ')));
    const seen = await mount.notify.retrieve(NODES.file, 4, 1000);
    t.is(seen?.toString(), 'ed. stor'.repeat(125));
    const file = await fs.open(path('file'));
    const { buffer } = await file.read(Buffer.alloc(8192), 0, 8192, 0);
    await file.close();
    t.is(buffer.toString(), 'stored. '.repeat(1024));
    t.deepEqual(of('read'), []);
    t.is((await mount.notify.retrieve(NODES.file, 8000, 1_000_000))?.length, 192);

    t.false(await mount.notify.store(UNKNOWN, 0, Buffer.from('x')));
    t.is(await mount.notify.retrieve(UNKNOWN, 0, 1), undefined);
    const many = await Promise.all(
      Array.from({ length: 50 }, (_, index) => mount.notify.retrieve(NODES.file, index * 8, 6)),
    );
    t.true(many.every((bytes) => bytes?.toString() === 'stored'));
  },
);

protocolTest(
  'prune lets nodes be forgotten that nothing uses',
  [{ kind: 'notification', name: 'PRUNE', call: 'stat(2)', result: 'forget; nodes in use stay' }],
  async (t, transport) => {
    const { path, mount, recorder } = await recording(t, transport, {}, LONG);
    await fs.stat(path('file'));
    await fs.stat(path('dir'));
    const open = await fs.open(path('file'));
    t.true(await mount.notify.prune([NODES.file, NODES.dir, UNKNOWN]));
    const { forgets } = await recorder.until('forget');
    t.deepEqual(forgets, [{ ino: NODES.dir, nlookup: 1 }]);
    await open.close();
    t.is(recorder.of('forget').length, 1);
  },
);

protocolTest(
  'a node is invalidated while the kernel holds its lock and waits for the reply to a write',
  [
    {
      kind: 'notification',
      name: 'INVAL_INODE',
      call: 'write(2) that waits, read(2) beside it',
      result: 'serving goes on; both end',
    },
  ],
  async (t, transport) => {
    const writes: WriteRequest[] = [];
    const { path, mount, recorder } = await recording(t, transport, {
      write(request) {
        writes.push(request);
        return new Promise(() => undefined);
      },
    });
    const file = await fs.open(path('file'), 'r+');
    t.teardown(() => file.close().catch(() => undefined));
    // Of a page that is not cached: the kernel keeps it locked until the reply, and the invalidation waits for it.
    const writing = file.write('text', 0);
    await recorder.until('write');
    let invalidated = false;
    const invalidating = mount.notify.invalInode(NODES.file).then((known) => {
      invalidated = true;
      return known;
    });
    const other = mount.notify.invalInode(NODES.root, -1);
    t.is(await fs.readFile(path('other'), 'utf8'), '0123456789abcdef');
    await sleep(50);
    t.false(invalidated);
    writes[0].reply(4);
    t.is((await writing).bytesWritten, 4);
    t.true(await invalidating);
    t.true(await other);
    await file.close();
  },
);

protocolTest(
  'resend does not run again what a handler is at, and its reply counts',
  [{ kind: 'notification', name: 'RESEND', call: 'mkdir(2) that waits', result: 'one request, one reply' }],
  async (t, transport) => {
    const pending: (() => void)[] = [];
    const { path, mount, of, recorder } = await recording(t, transport, {
      mkdir: ({ mode }) =>
        new Promise((resolve) => {
          pending.push(() => resolve({ ino: NODES.made, attr: { mode: 0o40000 | mode } }));
        }),
    });
    // In a directory of its own: the kernel holds its lock until the reply.
    const making = fs.mkdir(path('dir/new'));
    making.catch(() => undefined);
    await recorder.until('mkdir');
    t.true(await mount.notify.resend());
    t.true(await mount.notify.resend());
    t.is(await fs.readFile(path('file'), 'utf8'), '0123456789abcdef');
    await sleep(50);
    t.is(of('mkdir').length, 1);
    for (const answer of pending) answer();
    await making;
    t.is(mount.stats().refusedReplies, 0);
    t.is(mount.outstanding, 0);
  },
);
