/** What a handler did not write never reaches a caller, however slots are used again. */

import type { ExecutionContext } from 'ava';
import type { ReadRequest, Transport } from 'ringfuse';
import { Caller } from './support/callers.ts';
import { mounted } from './support/mounted.ts';
import { sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

const SIZE = 65_536;
const SECRET = 'S';

/** How a handler answers a read, and what the caller gets. */
interface Behaviour {
  readonly read: (request: ReadRequest) => number | Uint8Array | Promise<number | Uint8Array>;
  readonly output?: string;
  readonly code?: string;
}

const half = 'a'.repeat(SIZE / 2);
const zeros = '\0'.repeat(SIZE / 2);

const behaviours: { readonly [how: string]: Behaviour } = {
  'half of the buffer filled': {
    read: ({ buffer }) => buffer.fill('a', 0, SIZE / 2).length,
    output: half + zeros,
  },
  'half of the buffer filled, and replied as bytes': {
    read: ({ buffer }) => buffer.fill('a', 0, SIZE / 2),
    output: half + zeros,
  },
  'a buffer that was not looked at': {
    read: () => SIZE,
    output: zeros + zeros,
  },
  'a buffer filled piece by piece': {
    read: (request) => {
      request.buffer.fill('a', 0, SIZE / 4);
      request.buffer.fill('a', SIZE / 4, SIZE / 2);
      return SIZE;
    },
    output: half + zeros,
  },
  'fewer bytes than asked for': {
    read: () => Buffer.from('short'),
    output: 'short',
  },
  'the middle of the buffer': {
    read: ({ buffer }) => buffer.fill('a', 10, 20).subarray(5, 15),
    output: `${'\0'.repeat(5)}${'a'.repeat(5)}`,
  },
  nothing: {
    read: ({ unsafeBuffer }) => unsafeBuffer.subarray(0, 0),
    output: '',
  },
  'more bytes than asked for': {
    read: () => Buffer.alloc(SIZE + 1, 'a'),
    code: 'EIO',
  },
  'an error behind a filled buffer': {
    read: ({ buffer }) => {
      buffer.fill('a');
      throw Object.assign(new Error('midway'), { code: 'ENOTCONN' });
    },
    code: 'ENOTCONN',
  },
  'a late reply': {
    read: async (request) => {
      const { buffer } = request;
      await new Promise((resolve) => setTimeout(resolve, 30));
      return buffer.fill('a', 0, SIZE / 2).length;
    },
    output: half + zeros,
  },
};

/** Runs a shell command on one CPU: all its requests come in one queue, whose only slot is used again and again. */
function pinned(command: string, ...args: string[]): Caller {
  return new Caller('taskset', '--cpu-list', '0', 'sh', '-c', command, 'sh', ...args);
}

const WRITE = `head -c ${SIZE} /dev/zero | tr '\\000' ${SECRET} | dd of="$1" bs=${SIZE} iflag=fullblock conv=notrunc status=none`;
const READ = `dd if="$1" bs=${SIZE} count=1 status=none`;

async function writesAndReads(t: ExecutionContext, transport: Transport): Promise<void> {
  let behaviour: Behaviour = { read: () => 0 };
  let written = 0;
  const handlers = sandbox({
    write: ({ data }) => {
      written += data.length;
      return data.length;
    },
    read: (request) => behaviour.read(request),
  });
  const options = { ...UNCACHED, transport, queueDepth: 1, onError: () => undefined };
  const { path } = await mounted(t, handlers, options);
  for (const [how, next] of Object.entries(behaviours)) {
    written = 0;
    t.is((await pinned(WRITE, path('file')).ended).code, undefined, how);
    t.is(written, SIZE, how);
    behaviour = next;
    const { output, code } = await pinned(READ, path('file')).ended;
    t.is(code, next.code, how);
    t.true(
      output === (next.output ?? ''),
      `${how}: ${JSON.stringify(output.slice(0, 40))}… of ${output.length} bytes`,
    );
    t.false(output.includes(SECRET), how);
  }
}

overBoth('a read never shows bytes of an earlier request', writesAndReads);

overBoth('reads that are answered together, and late, each get their own bytes', async (t, transport) => {
  const letters = ['a', 'b', 'c', 'd', 'e', 'f'];
  const waiting: (() => void)[] = [];
  const handlers = sandbox({
    lookup: ({ name }) => ({ ino: 2 + letters.indexOf(name), attr: { mode: 0o100644, size: SIZE } }),
    read: (request) => {
      if (request.offset > 0) return 0;
      const { buffer, ino } = request;
      return new Promise<number>((resolve) => {
        waiting.push(() => resolve(buffer.fill(letters[ino - 2]).length));
        // The last to come is answered first.
        if (waiting.length === letters.length) for (const answer of waiting.reverse()) answer();
      });
    },
  });
  const { path } = await mounted(t, handlers, { ...UNCACHED, transport });
  const outcomes = await Promise.all(
    letters.map(
      (letter) => new Caller('dd', `if=${path(letter)}`, `bs=${SIZE}`, 'count=1', 'status=none').ended,
    ),
  );
  for (const [index, letter] of letters.entries())
    t.true(outcomes[index].output === letter.repeat(SIZE), letter);
});

overBoth('a read shows no byte of an earlier request in slots that were made later', async (t, transport) => {
  // More than a queue has slots at first, so that it gets more.
  const CALLERS = 24;
  const bytes = (length: number): string => SECRET.repeat(length);
  const waiting: (() => void)[] = [];
  const together = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length === CALLERS) for (const go of waiting.splice(0)) go();
    });
  let reads = 0;
  const handlers = sandbox({
    // A file a caller: the kernel lets one write at a time to each.
    lookup: ({ name }) => ({ ino: 100 + Number(name), attr: { mode: 0o100644, size: SIZE } }),
    write: async ({ data }) => {
      if (data.toString('latin1') !== bytes(SIZE))
        t.fail('the bytes that were written are not those that came');
      await together();
      return data.length;
    },
    read: async (request) => {
      const buffer = request.buffer.fill('a', 0, SIZE / 2);
      await together();
      // By turns as a count, as bytes, and as a part.
      if (reads++ % 3 === 0) return buffer.length;
      return reads % 3 === 0 ? buffer : buffer.subarray(0, SIZE - 1);
    },
  });
  const { path, mount: fs } = await mounted(t, handlers, { ...UNCACHED, transport });
  const before = fs.stats().slots;
  for (let round = 0; round < 2; round++) {
    const writers = Array.from({ length: CALLERS }, (_, index) => pinned(WRITE, path(`${index}`)));
    for (const { ended } of writers) t.is((await ended).code, undefined);
    const readers = Array.from({ length: CALLERS }, (_, index) => pinned(READ, path(`${index}`)));
    for (const { ended } of readers) {
      const { output } = await ended;
      t.true(output.length >= SIZE - 1);
      t.true((half + zeros).startsWith(output), JSON.stringify(output.slice(SIZE / 2, SIZE / 2 + 40)));
    }
  }
  t.true(fs.stats().slots > before, 'there are more slots than at first');
});
