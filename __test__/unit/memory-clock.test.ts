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
