//! Waking a queue whose requests wait although entries are idle.
//!
//! A queue hands a waiting request to an entry when that entry's last request is committed, but not when a new
//! entry is registered (`fuse_uring_do_register` of Linux 6.14 to 7.3). If all older entries are held by
//! requests that wait for one another, as for a lock, nothing is ever committed. A request of our own in the
//! queue takes a new entry, and its commit fetches the first that waits: one for each new entry.
//!
//! That request is a NOTIFY_REPLY, which nobody waits for: a thread of this process that waited for its own mount
//! would keep the process, and with it the connection, from being killed.

use std::sync::atomic::{AtomicU64, Ordering};

use fuse_abi::ROOT_ID;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::kernel::DeviceSide;
use crate::notify::Notification;

/// Ids of these requests: even, as an odd id is an interrupt's, and far above what the kernel counts its own up to.
const FIRST: u64 = 1 << 61;

static NEXT: AtomicU64 = AtomicU64::new(FIRST);

/// Whether a request is one of [`kick`]'s, to be committed at once.
pub(crate) fn is_kick(unique: u64) -> bool {
    (FIRST..FIRST << 1).contains(&unique)
}

/// Lets `count` requests for nothing come in queue `queue`, by asking for them on its CPU: the kernel takes a
/// request to the queue of the CPU that it is made on.
pub(crate) fn kick(device: &impl DeviceSide, queue: u16, count: usize) {
    let this_thread = Pid::from_raw(0);
    let Ok(usual) = sched_getaffinity(this_thread) else { return };
    let mut cpus = CpuSet::new();
    // Where this thread may not run, the queue waits until its next request.
    if cpus.set(queue.into()).is_err() || sched_setaffinity(this_thread, &cpus).is_err() {
        return;
    }
    for _ in 0..count {
        let unique = NEXT.fetch_add(2, Ordering::Relaxed);
        // This fails only if the connection has ended.
        let _ = Notification::retrieve(unique, ROOT_ID, 0, 0).send(device);
    }
    // The CPUs of before; if one went offline meanwhile, the kernel takes those that are left.
    let _ = sched_setaffinity(this_thread, &usual);
}
