import type { ExecutionContext } from 'ava';
import type { MountOptions, Transport } from 'ringfuse';
import { Caller } from '../support/callers.ts';
import { notRoot } from '../support/mounting.ts';
import { attributesOf, CONTENTS, NODES, type Recording, recording } from '../support/recorder.ts';
import { overBoth } from '../support/transports.ts';

const UID = 66;

/** Reads `file` as another user than the one who mounted. */
async function readAsOther(
  t: ExecutionContext,
  transport: Transport,
  mode: number,
  options: MountOptions,
): Promise<{ output: string; code: string | undefined; recording: Recording }> {
  const file = { ...attributesOf(NODES.file), mode: 0o100000 | mode };
  const made = await recording(
    t,
    transport,
    {
      lookup: ({ name }) => (name === 'file' ? { ino: NODES.file, attr: file } : null),
      getattr: ({ ino }) => ({ attr: ino === NODES.file ? file : attributesOf(ino) }),
    },
    options,
  );
  const as = ['--reuid', `${UID}`, '--regid', `${UID}`, '--clear-groups'];
  const { output, code } = await new Caller('setpriv', ...as, 'cat', made.path('file')).ended;
  return { output, code, recording: made };
}

overBoth(
  'without allowOther, another user is refused, and the filesystem not asked',
  async (t, transport) => {
    const { code, recording } = await readAsOther(t, transport, 0o644, {});
    t.is(code, 'EACCES');
    t.deepEqual(recording.of('lookup'), []);
  },
  notRoot,
);

overBoth(
  'with allowOther and without defaultPermissions, another user is served under its own uid, whatever the mode says',
  async (t, transport) => {
    const options = { allowOther: true, defaultPermissions: false };
    const { output, recording } = await readAsOther(t, transport, 0o600, options);
    t.is(output, CONTENTS.toString());
    for (const op of ['lookup', 'open', 'read'] as const) {
      const [caller] = recording.recorder.callers(op);
      t.deepEqual([caller.uid, caller.gid], [UID, UID], op);
    }
  },
  notRoot,
);

overBoth(
  'with allowOther, the kernel checks the mode before it asks the filesystem',
  async (t, transport) => {
    const options = { allowOther: true };
    const refused = await readAsOther(t, transport, 0o600, options);
    t.is(refused.code, 'EACCES');
    t.deepEqual(refused.recording.of('open'), []);
    const allowed = await readAsOther(t, transport, 0o644, options);
    t.is(allowed.output, CONTENTS.toString());
  },
  notRoot,
);
