//! A thread of this process that sleeps in the kernel and may do so until a FUSE filesystem answers, and
//! the connections whose answer it can be waiting for.
//!
//! The kernel does not say which connection that is. But a connection counts every request from
//! before its caller sleeps until after it wakes (`fc->num_waiting`, `waiting` in
//! /sys/fs/fuse/connections). So while the thread sleeps, a connection whose count is once seen to be
//! 0 cannot be the one. This holds for every system call and every architecture, and asks no
//! filesystem.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::Pid;

use crate::mount::{fuse_connections, waiting_requests};
use crate::stall::callers::{is_fuse, waits_for_answer};

/// How often the counts are read at a time, and the pause between two readings.
const READINGS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(2);

/// What a thread sleeps for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitsOn {
    /// The answer to a request of its own.
    Answer,
    /// Something else in a function of FUSE, such as a page that another request reads.
    Page,
    /// Something that no signal interrupts. It can be a lock of the kernel, such as a directory's, that
    /// the caller of a FUSE filesystem holds until its request is answered.
    Lock,
}

/// One sleep of a thread.
#[derive(Debug)]
pub(super) struct FuseWait {
    thread: Pid,
    /// How often the thread was switched out: it has not run since if that has not changed.
    switches: u64,
    on: WaitsOn,
    /// Connections of other processes that it may wait for.
    others: BTreeSet<u32>,
}

impl FuseWait {
    /// The sleep of `thread`, if it may sleep for a FUSE filesystem. `own` are the connections that this
    /// process serves.
    pub(super) fn of(thread: Pid, own: &BTreeSet<u32>) -> Option<Self> {
        let switches = switches(thread)?;
        let on = waits_on(thread)?;
        let others = fuse_connections().difference(own).copied().collect();
        let mut wait = Self { thread, switches, on, others };
        wait.rule_out();
        wait.lasts().then_some(wait)
    }

    /// Whether the thread still sleeps, without having run meanwhile.
    pub(super) fn lasts(&self) -> bool {
        waits_on(self.thread) == Some(self.on) && switches(self.thread) == Some(self.switches)
    }

    /// What it sleeps for.
    pub(super) fn on(&self) -> WaitsOn {
        self.on
    }

    /// Rules out the connections that have no request.
    pub(super) fn rule_out(&mut self) {
        for _ in 0..READINGS {
            self.others.retain(|connection| waiting_requests(*connection) != Some(0));
            if self.others.is_empty() {
                return;
            }
            sleep(PAUSE);
        }
    }

    /// Connections of other processes that the thread may wait for. One that this process may not
    /// inspect is always among them.
    pub(super) fn others(&self) -> &BTreeSet<u32> {
        &self.others
    }
}

fn waits_on(thread: Pid) -> Option<WaitsOn> {
    if waits_for_answer(Pid::this(), thread) {
        Some(WaitsOn::Answer)
    } else if is_in_fuse(thread) {
        Some(WaitsOn::Page)
    } else {
        is_uninterruptible(thread).then_some(WaitsOn::Lock)
    }
}

/// Whether a thread of this process sleeps so that only what it waits for wakes it.
pub(super) fn is_uninterruptible(thread: Pid) -> bool {
    let status = read_to_string(format!("/proc/self/task/{thread}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:\tD"))
}

/// How often a thread of this process was switched out.
fn switches(thread: Pid) -> Option<u64> {
    let status = read_to_string(format!("/proc/self/task/{thread}/status")).ok()?;
    let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
    counts.map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

/// Whether a thread of this process is in a function of FUSE, such as a read that waits for a page.
/// Only a process with CAP_SYS_ADMIN sees this.
fn is_in_fuse(thread: Pid) -> bool {
    let Ok(stack) = read_to_string(format!("/proc/self/task/{thread}/stack")) else { return false };
    let mut functions = stack.lines().filter_map(|line| line.split_whitespace().nth(1)?.split('+').next());
    functions.any(is_fuse) && !stack.contains("fuse_dev_") && !stack.contains("fuse_uring_")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The threads of this process.
    fn threads() -> Vec<Pid> {
        let entries = std::fs::read_dir("/proc/self/task").unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name());
        names.map(|name| Pid::from_raw(name.to_str().unwrap().parse().unwrap())).collect()
    }

    #[test]
    fn no_thread_of_a_program_without_mounts_waits_for_fuse() {
        for thread in threads() {
            assert!(FuseWait::of(thread, &BTreeSet::new()).is_none(), "{thread}");
        }
    }

    #[test]
    fn a_thread_that_runs_is_switched_out_more_often() {
        let thread = nix::unistd::gettid();
        let before = switches(thread).unwrap();
        sleep(PAUSE);
        assert!(switches(thread).unwrap() > before);
    }
}
