//! Work that may wait for a mount that this process serves.
//!
//! A thread that waits for a request which the server has taken cannot be killed, and as long as one thread lives,
//! the process's descriptors stay open. If the process is killed, its mounts' requests end because /dev/fuse is
//! closed. So a thread that may wait for such a request must not share the descriptors, or it would wait for ever,
//! and with it all other callers.
#![expect(unsafe_code, reason = "close_range(2) for one thread")]

use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::errno::Errno;

use crate::error::{Error, Result};

/// Runs `work` on a thread that has none of the process's descriptors, and may therefore be left waiting. What it
/// returns can be received.
///
/// # Errors
/// [`Error::Thread`].
pub fn outside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Receiver<T>> {
    let (sender, receiver) = channel();
    let body = move || {
        leave_descriptors();
        // Nobody may wait for it any more.
        let _ = sender.send(work());
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(Error::Thread)?;
    Ok(receiver)
}

/// Gives the calling thread an empty table of descriptors of its own. On kernels before Linux 5.9, nothing.
fn leave_descriptors() {
    // SAFETY: takes numbers. The calling thread was just made, and owns none of the descriptors; those of the
    // other threads stay open, as the table is unshared before they are closed.
    let closed =
        unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) };
    let _ = Errno::result(closed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_outside_sees_no_descriptor_and_leaves_all_open() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let count = || std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
        // The directory itself is one.
        assert_eq!(outside("test", count).unwrap().recv(), Ok(1));
        assert!(count() > 1);
        assert!(file.metadata().is_ok());
    }
}
