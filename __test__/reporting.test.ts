/** Errors of handlers that no `onError` takes: on standard error, and no more than a few lines of them. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { stat } from './support/callers.ts';
import { mounted, mountpoint } from './support/mounted.ts';
import { noPython } from './support/python.ts';
import { sandbox, UNCACHED } from './support/sandbox.ts';
import { overBoth } from './support/transports.ts';

const FAILING = fileURLToPath(new URL('support/failing.js', import.meta.url));

async function errorsOf(t: ExecutionContext, transport: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const dir = await mountpoint(t);
  const { stderr } = await promisify(execFile)(process.execPath, [FAILING, dir, transport, '200'], {
    env: { ...process.env, NODE_DEBUG: '', ...env },
  });
  return stderr.split('\n').filter((line) => line !== '');
}

overBoth(
  'errors of one kind are one line with their place, and one that counts the others',
  async (t, transport) => {
    const lines = (await errorsOf(t, transport, {})).filter((line) => line.includes('RINGFUSE_UNREPORTED'));
    t.is(lines.length, 4, lines.join('\n'));
    t.regex(lines[0], /RingfuseWarning: lookup: Error: a bug at .*failing\.[jt]s:\d+:\d+/);
    t.regex(lines[1], /RingfuseWarning: lookup: .*null prototype/);
    t.regex(lines[2], /lookup: Error: a bug .*: 199 more$/);
    t.regex(lines[3], /null prototype.*: 199 more$/);
  },
  noPython,
);

overBoth(
  'with NODE_DEBUG=ringfuse each error is written with its stack, also one that is an errno',
  async (t, transport) => {
    const lines = await errorsOf(t, transport, { NODE_DEBUG: 'ringfuse' });
    const count = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length;
    t.is(count(/^RINGFUSE \d+: lookup: Error: a bug/), 200);
    t.is(count(/^RINGFUSE \d+: lookup: Error: not there/), 200);
    t.is(count(/^RINGFUSE \d+: lookup: .*null prototype/), 200);
    t.true(count(/^ {4}at /) >= 400);
  },
  noPython,
);

overBoth('onError is called without a this', async (t, transport) => {
  const seen: unknown[] = [];
  const lookup = (): never => {
    throw new Error('a bug');
  };
  function onError(this: unknown): void {
    seen.push(this);
  }
  const { path } = await mounted(t, sandbox({ lookup }), { ...UNCACHED, transport, onError });
  t.is((await stat(path('file')).ended).code, 'EIO');
  t.deepEqual(seen, [undefined]);
});
