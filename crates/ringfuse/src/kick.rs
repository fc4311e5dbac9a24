//! Waking a queue whose requests wait although entries are idle.
//!
//! A queue hands a waiting request to an entry when that entry's last request is committed, but not when a new
//! entry is registered (`fuse_uring_do_register` of Linux 6.14 to 7.3). If all older entries are held by
//! requests that wait for one another, as for a lock, nothing is ever committed. A request of our own from the
//! queue's CPU takes a new entry, and its commit fetches the first that waits: one for each new entry.

use std::sync::Arc;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::statfs::statfs;
use nix::unistd::Pid;

use crate::connection::Connection;

/// Sends `count` times STATFS of the mount's root from CPU `queue`, without waiting for it here.
pub(crate) fn kick(connection: &Arc<Connection>, queue: u16, count: usize) {
    let connection = Arc::clone(connection);
    // Without a thread the queue waits until its next request.
    let _ = std::thread::Builder::new().name("ringfuse-kick".to_owned()).spawn(move || {
        let mut cpus = CpuSet::new();
        if cpus.set(queue.into()).is_ok() && sched_setaffinity(Pid::from_raw(0), &cpus).is_ok() {
            for _ in 0..count {
                let _ = statfs(connection.mount().path());
            }
        }
    });
}
