//! Waking a queue whose requests wait although entries are idle.
//!
//! A queue hands a waiting request to an entry when that entry's last request is committed, but not when a new
//! entry is registered (`fuse_uring_do_register` of Linux 6.14 to 7.3). If all older entries are held by
//! requests that wait for one another, as for a lock, or were lost with their thread, nothing is ever committed. A
//! request of our own, made on the queue's CPU, takes a new entry, and its commit fetches the first that waits.
//!
//! That request is a STATFS, which the kernel never answers by itself; the filesystem sees it as any other. RETRIEVE,
//! whose answer nobody waits for, is refused for directories, and no other node is known to exist.

use std::path::PathBuf;

use nix::sys::statfs::statfs;

use crate::cpu::pin_thread;
use crate::outside::outside;

/// Makes `count` requests of the mount at `path` on CPU `queue`, one after the other, and waits for none of them here.
pub(crate) fn kick(path: PathBuf, queue: u16, count: usize) {
    let ask = move || {
        // Where this thread may not run, the queue waits until its next request.
        if pin_thread([queue.into()]) {
            for _ in 0..count {
                // What it says is of no interest; at the mount's end it fails.
                let _ = statfs(&path);
            }
        }
    };
    // Without a thread the queue waits until its next request.
    let _ = outside("ringfuse-kick", ask);
}
