//! Work that may wait for a mount that this process serves.
//!
//! A thread that waits for a request which the server has taken cannot be killed, and while one thread
//! lives, the descriptors that it shares stay open. When the process is killed, its mounts' requests end
//! because /dev/fuse is closed. So a thread that may wait for such a request must not share the
//! descriptors, or it and all other callers would wait forever. The same holds for a child between
//! `fork` and `exec`.
//!
//! Such a thread blocks all signals. The handlers of libuv write to descriptors, which it does not have:
//! a signal that the kernel gave to it would be lost, and with it the end of a child (SIGCHLD) or of the
//! process (SIGTERM).
#![expect(unsafe_code, reason = "close_range(2) for one thread")]

use std::fs::read_dir;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::SigSet;

use crate::error::{Error, Result};
use crate::forked;
use crate::mount::connections_of;

/// Bytes of the stack of a thread that does one thing. It fits where little address space is left
/// (RLIMIT_AS).
pub const SHORT_STACK: usize = 256 << 10;

/// A thread to be made: its name, what it runs, and where to report whether it was made.
type Job = (String, Box<dyn FnOnce() + Send>, SyncSender<io::Result<()>>);

/// Makes the detached threads. `None` if the thread that does this could not be made.
static SPAWNER: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// Runs `work` on a thread that has none of the process's descriptors, so that it can be left waiting.
/// The result can be received.
///
/// # Errors
/// [`Error::Thread`].
pub fn outside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Receiver<T>> {
    let (sender, receiver) = channel();
    let body = Box::new(move || {
        // Closing the others takes place at the thread's end, after the work.
        leave_quickly();
        // This fails if the receiver is gone.
        let _ = sender.send(work());
    });
    let (made, making) = sync_channel(1);
    spawner()?.send((name.to_owned(), body, made)).map_err(|_| ended())?;
    making.recv().map_err(|_| ended())?.map_err(Error::Thread)?;
    Ok(receiver)
}

fn ended() -> Error {
    Error::Thread(io::Error::other("the thread that makes threads has ended"))
}

/// Starts the thread that makes detached threads, if it does not run. Done before a mount is made: the
/// process has no file of that mount open yet.
///
/// # Errors
/// [`Error::Thread`].
pub(crate) fn prepare() -> Result<()> {
    spawner().map(drop)
}

/// The spawner has no descriptors either. A thread that began with the process's would have to close
/// its duplicates first, and closing a file of a FUSE filesystem sends FLUSH and waits for the answer
/// (`filp_flush`): a thread made to diagnose or end a mount that hangs would hang as well.
fn spawner() -> Result<Sender<Job>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(spawner) = &*spawner {
        return Ok(spawner.clone());
    }
    let (sender, jobs) = channel::<Job>();
    let (ready, is_ready) = sync_channel(1);
    let run = move || {
        let slow = leave_quickly();
        // A thread that shares the spawner's table closes them there. It may wait for an answer.
        let close = move || slow.into_iter().for_each(close_shared);
        let _ = spawn("ringfuse-close", close);
        let _ = ready.send(());
        for (name, body, made) in jobs {
            let _ = made.send(spawn(&name, body));
        }
    };
    spawn("ringfuse-spawn", run).map_err(Error::Thread)?;
    is_ready.recv().map_err(|_| ended())?;
    *spawner = Some(sender.clone());
    Ok(sender)
}

/// Makes a thread, and waits until it runs: it has its thread-local storage then. Where that finds no memory, glibc
/// ends the process, so nothing else may take the last of it meanwhile.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (began, beginning) = sync_channel(1);
    let body = move || {
        block_signals();
        let _ = began.send(());
        body();
    };
    thread::Builder::new().name(name.to_owned()).stack_size(SHORT_STACK).spawn(body)?;
    // It fails if the thread panicked.
    let _ = beginning.recv();
    Ok(())
}

/// Blocks all signals for the calling thread.
fn block_signals() {
    // It fails for no set of signals.
    let _ = SigSet::all().thread_block();
}

/// Gives the calling thread a table of descriptors of its own, without those that are closed at once.
/// Returns those that are files of FUSE filesystems, which are still open. Without
/// `close_range(2)` the thread keeps sharing the process's table, and nothing is returned.
fn leave_quickly() -> Vec<RawFd> {
    // The number is beyond all that are open.
    if close_own(RawFd::MAX, RawFd::MAX).is_err() {
        return Vec::new();
    }
    let mut slow = open_on_fuse();
    slow.sort_unstable();
    let mut first = 0;
    for descriptor in &slow {
        if first < *descriptor {
            let _ = close_own(first, descriptor - 1);
        }
        first = descriptor + 1;
    }
    let _ = close_own(first, RawFd::MAX);
    slow
}

/// The calling thread's descriptors of files of FUSE filesystems. No filesystem is asked.
fn open_on_fuse() -> Vec<RawFd> {
    let Ok(entries) = read_dir("/proc/thread-self/fd") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let on_fuse = |number: &RawFd| !connections_of("thread-self", number.cast_unsigned().into()).is_empty();
    numbers.filter(on_fuse).collect()
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
    spawn(name, body).map_err(Error::Thread)?;
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
    let Some(kept) = kept else { return close_own(0, RawFd::MAX) };
    close_own(kept + 1, RawFd::MAX)?;
    if kept > 0 { close_own(0, kept - 1) } else { Ok(()) }
}

/// Closes a descriptor of the spawner's table.
fn close_shared(descriptor: RawFd) {
    // SAFETY: the spawner's table was copied from the process's, and nothing in it has an owner.
    unsafe { libc::close(descriptor) };
}

/// Closes descriptors in a table of the calling thread's own.
fn close_own(first: RawFd, last: RawFd) -> Result<(), Errno> {
    let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
    // SAFETY: takes numbers. The calling thread was just made and owns none of the descriptors. Those of the
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

    use nix::sys::signal::Signal;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no close_range(2)")]
    fn work_outside_sees_no_descriptor_and_leaves_all_open() {
        let file = File::open("/dev/null").unwrap();
        let count = || read_dir("/proc/thread-self/fd").unwrap().count();
        // The directory itself is one.
        assert_eq!(outside("test", count).unwrap().recv(), Ok(1));
        assert!(count() > 1);
        assert!(file.metadata().is_ok());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no close_range(2)")]
    fn no_signal_reaches_work_outside() {
        let blocked = || SigSet::thread_get_mask().unwrap();
        let all = outside("test", blocked).unwrap().recv().unwrap();
        assert!(Signal::iterator().all(|signal| uncatchable(signal) || all.contains(signal)));
        let file = File::open("/dev/null").unwrap();
        let with = outside_with("test", file.as_fd(), move |_| blocked()).unwrap();
        assert_eq!(with.recv(), Ok(all));
    }

    fn uncatchable(signal: Signal) -> bool {
        matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)
    }

    #[test]
    fn work_outside_with_a_descriptor_has_that_one_and_may_close_it() {
        let file = File::open("/dev/null").unwrap();
        let work = |descriptor: OwnedFd| {
            let count = || read_dir("/proc/thread-self/fd").unwrap().count();
            let before = count();
            drop(descriptor);
            (before, count())
        };
        assert_eq!(outside_with("test", file.as_fd(), work).unwrap().recv(), Ok((2, 1)));
        assert!(file.metadata().is_ok());
    }
}
