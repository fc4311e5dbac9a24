//! Following the CPU that requests come from.
//!
//! A client whose requests are answered on its own CPU waits for no other CPU to wake up, which costs more than all of
//! the work, above all on a virtual machine. A thread that serves every queue may be anywhere: where requests come from
//! one CPU again and again, it moves there, once. It is not kept: the scheduler may move it, or the client, away. It does
//! so at once where another CPU that shares a cache is idle: a client wakes up there, as this thread keeps its own busy
//! (`select_idle_sibling`). Then following brings nothing, and is tried ever more rarely.

use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

/// Moves are so far apart at least, twice as far after each that brought nothing, and so far at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Decides when the serving thread is to move.
#[derive(Debug)]
pub struct Follower {
    /// Batches in a row that make it worth to move.
    after: u32,
    /// The CPU of the last batches, and how many of them there were in a row.
    cpu: u16,
    batches: u32,
    not_before: Option<Instant>,
    pause: Duration,
}

impl Follower {
    /// Moves after so many batches in a row from another CPU; never if 0.
    #[must_use]
    pub fn new(after: u32) -> Self {
        Self { after, cpu: 0, batches: 0, not_before: None, pause: SHORTEST_PAUSE }
    }

    /// Notes that a batch of requests came from `cpu`, or from several, and moves the calling thread if it is time.
    pub fn batch_from(&mut self, cpu: Option<u16>) {
        if !self.is_due(cpu) {
            return;
        }
        match sched_getcpu() {
            Ok(current) if current == usize::from(self.cpu) => self.pause = SHORTEST_PAUSE,
            Ok(_) => {
                self.batches = 0;
                if self.may_move(Instant::now()) {
                    move_to(self.cpu.into());
                }
            }
            Err(_) => {}
        }
    }

    /// Whether the last move is long enough ago; then the next one is twice as far.
    fn may_move(&mut self, now: Instant) -> bool {
        let may = self.not_before.is_none_or(|time| time <= now);
        if may {
            self.not_before = Some(now + self.pause);
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        }
        may
    }

    fn is_due(&mut self, cpu: Option<u16>) -> bool {
        let Some(cpu) = cpu.filter(|_| self.after > 0) else {
            self.batches = 0;
            return false;
        };
        self.batches = if cpu == self.cpu { self.batches.saturating_add(1) } else { 1 };
        self.cpu = cpu;
        self.batches >= self.after
    }
}

/// Moves the calling thread to a CPU, and lets it go wherever it could go before.
fn move_to(cpu: usize) {
    let this_thread = Pid::from_raw(0);
    let Ok(usual) = sched_getaffinity(this_thread) else { return };
    let mut there = CpuSet::new();
    if usual.is_set(cpu) == Ok(true) && there.set(cpu).is_ok() {
        let _ = sched_setaffinity(this_thread, &there);
        // The CPUs of before; if one went offline meanwhile, the kernel takes those that are left.
        let _ = sched_setaffinity(this_thread, &usual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_to_move_after_enough_batches_in_a_row() {
        let mut follower = Follower::new(3);
        let due: Vec<bool> = [1, 1, 0, 1, 1, 1, 1].map(|cpu| follower.is_due(Some(cpu))).to_vec();
        assert_eq!(due, [false, false, false, false, false, true, true]);
        assert!(!follower.is_due(None), "a batch from several CPUs");
        assert!(!follower.is_due(Some(1)));
        assert!(!Follower::new(0).is_due(Some(1)), "never");
    }

    #[test]
    fn moves_that_bring_nothing_become_rare() {
        let mut follower = Follower::new(1);
        let start = Instant::now();
        let moves = (0..10_000).filter(|ms| follower.may_move(start + Duration::from_millis(*ms))).count();
        assert_eq!(moves, 10 + 9, "ten within the first 1023 ms, then one a second");
    }

    #[test]
    fn a_thread_that_moves_may_go_everywhere_afterwards() {
        let this_thread = Pid::from_raw(0);
        let before = sched_getaffinity(this_thread).unwrap();
        let mut follower = Follower::new(1);
        for cpu in 0..CpuSet::count() {
            if before.is_set(cpu) == Ok(true) {
                follower.not_before = None;
                follower.batch_from(u16::try_from(cpu).ok());
            }
        }
        assert_eq!(sched_getaffinity(this_thread).unwrap(), before);
    }
}
