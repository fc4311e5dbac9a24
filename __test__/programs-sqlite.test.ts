import { join } from 'node:path';
import { memory, memoryMountOptions } from '@ringfuse/fs';
import { mounted } from './support/mounted.ts';
import { places, programTest, run } from './support/programs.ts';

/** Rows of a table in these tests. */
const ROWS = 20_000;

function sqlite(database: string, ...statements: string[]): Promise<string> {
  return run('sqlite3', ['-bail', '-cmd', '.timeout 20000', database, statements.join('; ')]);
}

/** Statements that fill a table, change most of it and take back what a transaction did. */
const work = [
  'CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL, data BLOB)',
  'BEGIN',
  `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
     INSERT INTO things SELECT i, 'thing ' || i, randomblob(i % 200) FROM n`,
  'COMMIT',
  'CREATE INDEX by_name ON things (name)',
  'UPDATE things SET data = zeroblob(300) WHERE id % 3 = 0',
  'BEGIN',
  'DELETE FROM things',
  'ROLLBACK',
  'DELETE FROM things WHERE id % 5 = 0',
  'VACUUM',
];

const questions = [
  'PRAGMA integrity_check',
  'SELECT count(*), sum(length(data) = 300) FROM things',
  "SELECT id FROM things WHERE name = 'thing 12342'",
];

const answers = `ok\n${(ROWS * 4) / 5}|${Math.floor(ROWS / 3) - Math.floor(ROWS / 15)}\n12342\n`;

const modes = ['DELETE', 'TRUNCATE', 'PERSIST', 'WAL', 'WAL with locking_mode=EXCLUSIVE'];

for (const place of places) {
  for (const mode of modes) {
    programTest(
      `sqlite3 keeps a database whole in journal mode ${mode} (${place})`,
      ['sqlite3'],
      async (t) => {
        const database = join(await place.mount(t), 'things.db');
        const [journal, locking] = mode.split(' with ');
        const pragmas = [...(locking ? [`PRAGMA ${locking}`] : []), `PRAGMA journal_mode = ${journal}`];
        const prints = `${locking ? 'exclusive\n' : ''}${journal.toLowerCase()}\n`;
        t.is(await sqlite(database, ...pragmas, ...work), prints);
        t.is(await sqlite(database, ...pragmas, ...questions), prints + answers);
      },
    );
  }
}

const writers = 4;
const insertions = 60;

/** Several processes that write to one database at once; each must find the lock of the others. */
async function writeTogether(database: string): Promise<string> {
  const script = `BEGIN IMMEDIATE; INSERT INTO counts SELECT max(n) + 1 FROM counts; COMMIT;\n`.repeat(
    insertions,
  );
  await Promise.all(Array.from({ length: writers }, () => sqlite(database, script)));
  return sqlite(database, 'PRAGMA integrity_check', 'SELECT count(*), max(n), count(DISTINCT n) FROM counts');
}

const total = writers * insertions + 1;

for (const [place, journal] of places.flatMap((place) =>
  ['DELETE', 'WAL'].map((journal) => [place, journal] as const),
)) {
  programTest(
    `processes that write to one sqlite database in turn lose nothing (${journal}, ${place})`,
    ['sqlite3'],
    async (t) => {
      const database = join(await place.mount(t), 'counts.db');
      await sqlite(
        database,
        `PRAGMA journal_mode = ${journal}`,
        'CREATE TABLE counts (n)',
        'INSERT INTO counts VALUES (1)',
      );
      t.is(await writeTogether(database), `ok\n${total}|${total}|${total}\n`);
    },
  );
}

programTest(
  'sqlite3 is told that WAL needs shared memory where there is no page cache, and mappings are not asked for',
  ['sqlite3'],
  async (t) => {
    const { path } = await mounted(t, memory(), { ...memoryMountOptions, directIo: true });
    await t.throwsAsync(sqlite(path('things.db'), 'PRAGMA journal_mode = WAL', ...work), {
      message: /disk I\/O error/,
    });
  },
);

programTest(
  'sqlite3 has WAL with direct I/O too where DIRECT_IO_ALLOW_MMAP is asked for',
  ['sqlite3'],
  async (t) => {
    const { path } = await mounted(t, memory(), {
      ...memoryMountOptions,
      directIo: true,
      capabilities: ['DIRECT_IO_ALLOW_MMAP'],
    });
    const database = path('things.db');
    t.is(await sqlite(database, 'PRAGMA journal_mode = WAL', ...work), 'wal\n');
    t.is(await sqlite(database, ...questions), answers);
    await sqlite(database, 'CREATE TABLE counts (n)', 'INSERT INTO counts VALUES (1)');
    t.is(await writeTogether(database), `ok\n${total}|${total}|${total}\n`);
  },
);
