//! Work that may wait for a mount that this process serves.
//!
//! A thread that waits for a request which the server has taken cannot be killed, and as long as one thread lives,
//! the process's descriptors stay open. If the process is killed, its mounts' requests end because /dev/fuse is
//! closed. So a thread that may wait for such a request must not share the descriptors, or it would wait for ever,
//! and with it all other callers. The same holds for a child between `fork` and `exec`.
#![expect(unsafe_code, reason = "close_range(2) for one thread")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::thread;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::forked;

/// Bytes of the stack of a thread that does one thing: it is to be had where little address space is left (RLIMIT_AS).
pub const SHORT_STACK: usize = 256 << 10;

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
        // Before Linux 5.9, or where a filter refuses it, the thread has all of them.
        let _ = leave_descriptors(None);
        // Nobody may wait for it any more.
        let _ = sender.send(work());
    };
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(SHORT_STACK)
        .spawn(body)
        .map_err(Error::Thread)?;
    Ok(receiver)
}

/// As [`outside`], but `work` has a duplicate of one descriptor, with the same number, in the thread's own table.
///
/// # Errors
/// [`Error::Thread`], also where the thread cannot have a table of its own.
pub(crate) fn outside_with<T: Send + 'static>(
    name: &str,
    descriptor: BorrowedFd<'_>,
    work: impl FnOnce(OwnedFd) -> T + Send + 'static,
) -> Result<Receiver<T>> {
    let number = descriptor.as_raw_fd();
    let (sender, receiver) = channel();
    let (began, beginning) = sync_channel(1);
    let body = move || {
        let left = leave_descriptors(Some(number));
        let alone = left.is_ok();
        // The other side waits for it, and holds the descriptor open meanwhile.
        let _ = began.send(left);
        if !alone {
            return;
        }
        // SAFETY: the thread's table is its own, and just made: nothing in it has an owner yet.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        let _ = sender.send(work(descriptor));
    };
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(SHORT_STACK)
        .spawn(body)
        .map_err(Error::Thread)?;
    match beginning.recv() {
        Ok(Ok(())) => Ok(receiver),
        Ok(Err(errno)) => Err(Error::Thread(errno.into())),
        Err(_) => Err(Error::Thread(io::Error::other("it ended before it began"))),
    }
}

/// Gives the calling thread a table of descriptors of its own that is empty, but for `kept`.
///
/// # Errors
/// The errno of `close_range(2)`: ENOSYS on kernels before Linux 5.9.
fn leave_descriptors(kept: Option<RawFd>) -> Result<(), Errno> {
    let Some(kept) = kept.map(RawFd::cast_unsigned) else {
        return close_own(0, libc::c_uint::MAX);
    };
    close_own(kept + 1, libc::c_uint::MAX)?;
    if kept > 0 { close_own(0, kept - 1) } else { Ok(()) }
}

/// Closes descriptors in a table of the calling thread's own.
fn close_own(first: libc::c_uint, last: libc::c_uint) -> Result<(), Errno> {
    // SAFETY: takes numbers. The calling thread was just made, and owns none of the descriptors; those of the
    // other threads stay open, as the table is unshared before they are closed.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_UNSHARE) };
    Errno::result(closed)?;
    forked::table_is_own();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no close_range(2)")]
    fn work_outside_sees_no_descriptor_and_leaves_all_open() {
        let file = File::open("/dev/null").unwrap();
        let count = || std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
        // The directory itself is one.
        assert_eq!(outside("test", count).unwrap().recv(), Ok(1));
        assert!(count() > 1);
        assert!(file.metadata().is_ok());
    }

    #[test]
    fn work_outside_with_a_descriptor_has_that_one_and_may_close_it() {
        let file = File::open("/dev/null").unwrap();
        let work = |descriptor: OwnedFd| {
            let count = || std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
            let before = count();
            drop(descriptor);
            (before, count())
        };
        assert_eq!(outside_with("test", file.as_fd(), work).unwrap().recv(), Ok((2, 1)));
        assert!(file.metadata().is_ok());
    }
}
