import type { Timespec } from 'ringfuse';

/** The clocks as they are when this module is loaded: tests that mock timers replace them later. */
const realTime = Date.now;
const monotonic = performance.now.bind(performance);
const { timeOrigin } = performance;

/** How often, in milliseconds, a clock checks whether the system's time was set. */
const CHECK_INTERVAL = 10;

/** Milliseconds by which the system's time may differ before it counts as set: a pause between two readings. */
const TOLERANCE = 5;

/** Milliseconds by which the real time at the start of the process may be off. */
const SLACK = 0.005;

/** A reading of the system's time is good when its moment is known to so many milliseconds. */
const PRECISION = 0.002;

const ATTEMPTS = 4;

/** Readings until a millisecond ends, at most: a time that was mocked never ends one. */
const MOST_READINGS = 1_000_000;

/**
 * `CLOCK_REALTIME` to about a microsecond. Node has it in milliseconds only, but has a monotonic clock in
 * nanoseconds, and the real time at which that began. When the system's time was set, the moment at which one of its
 * milliseconds begins is measured. Times do not go back otherwise. File times from it compare with the kernel's and with
 * those that `date` prints.
 */
export class Clock {
  /** The real time when the monotonic clock began: whole milliseconds, and a rest of 0 … 1. */
  #originMs: number = Math.floor(timeOrigin);
  #originRest: number = timeOrigin - Math.floor(timeOrigin);
  #nextCheck = 0;

  constructor() {
    const earliest = monotonic();
    const real = realTime();
    const latest = monotonic();
    // Node.js may have been interrupted between its two readings.
    if (timeOrigin + latest < real - SLACK || timeOrigin + earliest > real + 1 + SLACK) this.#measure();
  }

  /** The time now. */
  now(): Timespec {
    const elapsed = monotonic();
    if (elapsed >= this.#nextCheck) {
      this.#nextCheck = elapsed + CHECK_INTERVAL;
      if (Math.abs(realTime() - this.#originMs - elapsed) > TOLERANCE) this.#measure();
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
      // Each reading of the real time lies between two of the monotonic clock. It was `previous` after `earliest`
      // and `real` before `latest`, so that the millisecond began between these two.
      let earliest = 0;
      let between = monotonic();
      let previous = 0;
      let real = realTime();
      let latest = monotonic();
      let readings = 0;
      do {
        earliest = between;
        between = latest;
        previous = real;
        real = realTime();
        latest = monotonic();
        readings += 1;
      } while (real === previous && readings < MOST_READINGS);
      if (latest - earliest >= narrowest) continue;
      narrowest = latest - earliest;
      const whole = Math.ceil(between);
      this.#originMs = real - whole;
      this.#originRest = whole - between;
      if (readings === MOST_READINGS) return;
    }
  }
}
