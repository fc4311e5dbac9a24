import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { Clock } from '#fs/clock.js';

const milliseconds = ({ sec, nsec }: { sec: number; nsec: number }): number => sec * 1000 + nsec / 1e6;

test('the time lies between what Date says before and after', (t) => {
  const clock = new Clock();
  for (let i = 0; i < 10_000; i += 1) {
    const before = Date.now();
    const time = clock.now();
    const after = Date.now();
    const now = milliseconds(time);
    t.true(Number.isInteger(time.nsec) && time.nsec >= 0 && time.nsec < 1e9);
    if (now < before - 0.01 || now > after + 1.01) t.fail(`${now} is not in ${before} … ${after}`);
  }
});

test('the time does not go back, and is finer than a microsecond', (t) => {
  const clock = new Clock();
  const rests = new Set<number>();
  let last = clock.now();
  for (let i = 0; i < 10_000; i += 1) {
    const time = clock.now();
    t.true(time.sec > last.sec || (time.sec === last.sec && time.nsec >= last.nsec));
    rests.add(time.nsec % 1000);
    last = time;
  }
  t.true(rests.size > 10);
});

test('a Date that is mocked later changes nothing, and one that was mocked before stops nothing', async (t) => {
  const program = `
    const RealDate = Date;
    const freeze = () => {
      globalThis.Date = class extends RealDate { static now() { return 1e12; } };
      performance.now = () => 1000;
    };
    if (process.argv[1] === 'before') freeze();
    const { memory } = await import('@ringfuse/fs');
    freeze();
    const { mtime } = memory({ files: { file: 'x' } }).getattr({ ino: 1 });
    console.log(JSON.stringify([mtime.sec, Math.floor(performance.timeOrigin / 1000)]));
  `;
  const seconds = async (when: string): Promise<number[]> => {
    const args = ['--input-type=module', '--eval', program, when];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 });
    return JSON.parse(stdout) as number[];
  };
  const [time, started] = await seconds('after');
  t.true(time >= started && time < started + 60, `${time}, ${started}`);
  t.deepEqual((await seconds('before'))[0], 1e9);
});
