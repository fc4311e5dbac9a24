import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isInstalled } from '../support/conformance.ts';
import { mirrorServer, type ServerKind, serverKinds, serverMissing } from '../support/servers.ts';
import { testUnless, transport } from '../support/transports.ts';
import { comparePjdfstest } from './comparing.ts';

const run = promisify(execFile);

/** Tests of pjdfstest that pass as each of them: an ordinary user is not allowed to run most. */
const FEWEST: Readonly<Record<ServerKind, number>> = {
  root: 350,
  'root in a container': 350,
  'an ordinary user': 50,
  'root of a user namespace': 50,
};

for (const kind of serverKinds) {
  const missing =
    serverMissing[kind] ?? (isInstalled('pjdfstest') ? undefined : 'pjdfstest could not be installed');
  testUnless(
    missing,
    `pjdfstest passes on a mirror served by ${kind} where it passes on the source`,
    async (t) => {
      const { source, dir, report, inside } = await mirrorServer(t, kind);
      t.deepEqual(report, { transport });
      const [first, ...rest] = [...inside, 'mkdir', join(source, 'beside')];
      await run(first, rest);
      const { passed, directly, failures } = await comparePjdfstest(join(source, 'beside'), dir, inside);
      t.log(`${passed} passed; ${directly} do not pass on the source`);
      t.deepEqual(failures, []);
      t.true(passed > FEWEST[kind]);
    },
  );
}
