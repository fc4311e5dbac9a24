import type { Timespec } from 'ringfuse';

/** How often, in milliseconds, a clock looks whether the system's time was set. */
const CHECK_INTERVAL = 10;

/** Milliseconds by which the system's time may differ before it counts as set: a pause between two looks. */
const TOLERANCE = 5;

/** A look at the system's time is good when its moment is known to so many milliseconds. */
const PRECISION = 0.002;

const ATTEMPTS = 4;

/**
 * `CLOCK_REALTIME` to about a microsecond. Node has it in milliseconds only, but has a monotonic clock in
 * nanoseconds: where a millisecond of the one begins on the other is measured, and measured again when the
 * system's time was set. Times do not go back otherwise. File times from it compare with the kernel's and with
 * those that `date` prints.
 */
export class Clock {
  /** The real time when the monotonic clock began: whole milliseconds, and a rest of 0 … 1. */
  #originMs = 0;
  #originRest = 0;
  #nextCheck = 0;

  constructor() {
    this.#measure();
  }

  /** The time now. */
  now(): Timespec {
    const elapsed = performance.now();
    if (elapsed >= this.#nextCheck) {
      this.#nextCheck = elapsed + CHECK_INTERVAL;
      if (Math.abs(Date.now() - this.#originMs - elapsed) > TOLERANCE) this.#measure();
    }
    const elapsedMs = Math.floor(elapsed);
    const rest = this.#originRest + (elapsed - elapsedMs);
    const carry = Math.floor(rest);
    const ms = this.#originMs + elapsedMs + carry;
    const sec = Math.floor(ms / 1000);
    return { sec, nsec: (ms - sec * 1000) * 1e6 + Math.floor((rest - carry) * 1e6) };
  }

  /** Waits for a millisecond to begin, which takes one at most, and notes when that was. */
  #measure(): void {
    let narrowest = Infinity;
    for (let attempt = 0; attempt < ATTEMPTS && narrowest > PRECISION; attempt += 1) {
      // Each look at the real time lies between two at the monotonic clock. It was `previous` after `earliest`
      // and `real` before `latest`, so that the millisecond began between these two.
      let earliest = 0;
      let between = performance.now();
      let previous = 0;
      let real = Date.now();
      let latest = performance.now();
      do {
        earliest = between;
        between = latest;
        previous = real;
        real = Date.now();
        latest = performance.now();
      } while (real === previous);
      if (latest - earliest >= narrowest) continue;
      narrowest = latest - earliest;
      const whole = Math.ceil(between);
      this.#originMs = real - whole;
      this.#originRest = whole - between;
    }
  }
}
