/**
 * The synchronous calls of Node.js that reach a filesystem, made on a mount: `node:fs` as a whole, and
 * the others that open, start or enter a file.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';

/** Where a call is made. */
export interface Place {
  /** A directory with the files `file`, `program`, `module.cjs` and `addon.node`, and the link `link`. */
  readonly dir: string;
  /** A descriptor of `file`, open for reading and writing. */
  readonly fd: number;
  /** The directory to return to. */
  readonly home: string;
}

/** A call: what it returns is of no interest, unless it is a promise, which is a mistake. */
export type Call = (place: Place) => unknown;

/** What Node.js 20 lacks. */
const newer = fs as {
  readonly globSync?: (pattern: string, options: { cwd: string }) => string[];
  readonly mkdtempDisposableSync?: (prefix: string) => unknown;
};

const buffer = Buffer.alloc(100);

/** The calls of `node:fs`. */
const files: { readonly [name: string]: Call } = {
  accessSync: ({ dir }) => fs.accessSync(`${dir}/file`, fs.constants.W_OK),
  appendFileSync: ({ dir }) => fs.appendFileSync(`${dir}/file`, 'x'),
  chmodSync: ({ dir }) => fs.chmodSync(`${dir}/file`, 0o600),
  chownSync: ({ dir }) => fs.chownSync(`${dir}/file`, 0, 0),
  closeSync: ({ fd }) => fs.closeSync(fd),
  copyFileSync: ({ dir }) => fs.copyFileSync(`${dir}/file`, `${dir}/copy`),
  cpSync: ({ dir }) => fs.cpSync(`${dir}/file`, `${dir}/copy`),
  existsSync: ({ dir }) => fs.existsSync(`${dir}/file`),
  fchmodSync: ({ fd }) => fs.fchmodSync(fd, 0o600),
  fchownSync: ({ fd }) => fs.fchownSync(fd, 0, 0),
  fdatasyncSync: ({ fd }) => fs.fdatasyncSync(fd),
  fstatSync: ({ fd }) => fs.fstatSync(fd),
  fsyncSync: ({ fd }) => fs.fsyncSync(fd),
  ftruncateSync: ({ fd }) => fs.ftruncateSync(fd, 1),
  futimesSync: ({ fd }) => fs.futimesSync(fd, 1, 1),
  globSync: ({ dir }) => newer.globSync?.('*', { cwd: dir }),
  // Only where it exists: on macOS.
  lchmodSync: ({ dir }) => fs.lchmodSync?.(`${dir}/link`, 0o600),
  lchownSync: ({ dir }) => fs.lchownSync(`${dir}/link`, 0, 0),
  linkSync: ({ dir }) => fs.linkSync(`${dir}/file`, `${dir}/name`),
  lstatSync: ({ dir }) => fs.lstatSync(`${dir}/link`),
  lutimesSync: ({ dir }) => fs.lutimesSync(`${dir}/link`, 1, 1),
  mkdirSync: ({ dir }) => fs.mkdirSync(`${dir}/new`),
  mkdtempDisposableSync: ({ dir }) => newer.mkdtempDisposableSync?.(`${dir}/t`),
  mkdtempSync: ({ dir }) => fs.mkdtempSync(`${dir}/t`),
  openSync: ({ dir }) => fs.openSync(`${dir}/file`, 'r'),
  opendirSync: ({ dir }) => fs.opendirSync(dir),
  readFileSync: ({ dir }) => fs.readFileSync(`${dir}/file`),
  readSync: ({ fd }) => fs.readSync(fd, buffer, 0, 10, 0),
  readdirSync: ({ dir }) => fs.readdirSync(dir),
  readlinkSync: ({ dir }) => fs.readlinkSync(`${dir}/link`),
  readvSync: ({ fd }) => fs.readvSync(fd, [buffer], 0),
  realpathSync: ({ dir }) => fs.realpathSync(`${dir}/link`),
  renameSync: ({ dir }) => fs.renameSync(`${dir}/file`, `${dir}/name`),
  rmSync: ({ dir }) => fs.rmSync(`${dir}/file`),
  rmdirSync: ({ dir }) => fs.rmdirSync(`${dir}/directory`),
  statSync: ({ dir }) => fs.statSync(`${dir}/file`),
  statfsSync: ({ dir }) => fs.statfsSync(dir),
  symlinkSync: ({ dir }) => fs.symlinkSync('file', `${dir}/other`),
  truncateSync: ({ dir }) => fs.truncateSync(`${dir}/file`, 1),
  unlinkSync: ({ dir }) => fs.unlinkSync(`${dir}/file`),
  utimesSync: ({ dir }) => fs.utimesSync(`${dir}/file`, 1, 1),
  writeFileSync: ({ dir }) => fs.writeFileSync(`${dir}/file`, 'x'),
  writeSync: ({ fd }) => fs.writeSync(fd, 'x', 0),
  writevSync: ({ fd }) => fs.writevSync(fd, [buffer], 0),
};

/** Calls outside of `node:fs`. */
const others: { readonly [name: string]: Call } = {
  'realpathSync.native': ({ dir }) => fs.realpathSync.native(`${dir}/link`),
  'process.chdir': ({ dir, home }) => {
    process.chdir(dir);
    process.chdir(home);
  },
  require: ({ dir }) => createRequire(import.meta.url)(`${dir}/module.cjs`),
  'process.dlopen': ({ dir }) =>
    process.dlopen({ exports: {} }, `${dir}/addon.node`, constants.dlopen.RTLD_NOW),
};

/** Calls that wait for a child. Nothing shows that they wait for themselves, so they need `onStall`. */
export const children: { readonly [name: string]: Call } = {
  'spawnSync with cwd': ({ dir }) => thrown(spawnSync('true', { cwd: dir })),
  'spawnSync of a program': ({ dir }) => thrown(spawnSync(`${dir}/program`)),
  'execFileSync of a reader': ({ dir }) => execFileSync('cat', [`${dir}/file`], { stdio: 'pipe' }),
};

/** All calls, by name. */
export const calls: { readonly [name: string]: Call } = { ...files, ...others, ...children };

/** Functions of `node:fs` that nothing here calls. */
export const forgotten: readonly string[] = Object.keys(fs).filter(
  (name) => name.endsWith('Sync') && !(name in files),
);

/** Functions of `node:fs` that this version of Node.js lacks, or that do nothing on Linux. */
export const missing: readonly string[] = Object.keys(files).filter(
  (name) => name === 'lchmodSync' || !(name in fs),
);

function thrown({ error, status }: { error?: Error; status: number | null }): number | null {
  if (error !== undefined) throw error;
  return status;
}
