/**
 * A program whose handlers fail: `failing.js DIR TRANSPORT COUNT`. A caller looks each of three names up so often: one
 * throws an error, one an error with an errno, one what is no error.
 */

import { mount, serve, type Transport } from 'ringfuse';
import { sandbox, UNCACHED } from './sandbox.ts';
import { startSystemCalls } from './system-calls.ts';

const [dir, transport, count] = process.argv.slice(2);

const thrown: Readonly<Record<string, () => unknown>> = {
  bug: () => new Error('a bug'),
  errno: () => Object.assign(new Error('not there'), { code: 'ENOENT' }),
  nothing: () => Object.create(null),
};

const fs = await mount(dir, { ...UNCACHED, transport: transport as Transport });
const handlers = sandbox({
  lookup: ({ name }) => {
    throw thrown[name]();
  },
});
const served = serve(fs, handlers);
const program = `
for _ in range(int(sys.argv[2])):
    for name in ['bug', 'errno', 'nothing']:
        attempt(os.stat, at(name))
`;
await startSystemCalls(program, dir, count).ended;
await fs.close();
await served;
