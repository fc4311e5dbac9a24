//! Interrupts a blocking system call so that the thread runs its ring's pending task work.
//!
//! The requests of a ring with `DEFER_TASKRUN` are copied by task work. Only the thread that owns the
//! ring runs it, in `io_uring_enter`. Until then no abort ends them. A signal's handler enters the
//! ring if the system call can be interrupted, such as a read from a pipe. If it cannot be
//! interrupted, the ring must be closed.
#![expect(unsafe_code, reason = "handles a signal")]

use std::ffi::c_int;
use std::os::fd::RawFd;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::Pid;

/// How long a thread has to answer the signal.
const TIMEOUT: Duration = Duration::from_millis(100);

/// The ring to enter for the next handler that runs, or -1.
static RING: AtomicI32 = AtomicI32::new(-1);

/// Whether it was entered.
static DONE: AtomicBool = AtomicBool::new(false);

/// The signal. `None` if the program handles every real-time signal.
static SIGNAL: OnceLock<Option<c_int>> = OnceLock::new();

/// Makes `thread`, the owner of `ring`, enter the ring. Returns whether it did. Only the watchdog
/// calls this, and only while the thread does not use the ring itself.
pub(super) fn interrupt(thread: Pid, ring: RawFd) -> bool {
    let Some(signal) = SIGNAL.get_or_init(install) else { return false };
    DONE.store(false, Ordering::Release);
    RING.store(ring, Ordering::Release);
    // SAFETY: takes numbers. The signal has a handler, so it ends nothing.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, Pid::this().as_raw(), thread.as_raw(), *signal) };
    let limit = Instant::now() + TIMEOUT;
    while Errno::result(sent).is_ok() && !DONE.load(Ordering::Acquire) && Instant::now() < limit {
        sleep(Duration::from_millis(1));
    }
    RING.store(-1, Ordering::Release);
    DONE.load(Ordering::Acquire)
}

/// Takes the last real-time signal that the program does not use.
fn install() -> Option<c_int> {
    (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(|signal| is_free(*signal) && handle(*signal))
}

fn is_free(signal: c_int) -> bool {
    // SAFETY: a `sigaction` is plain data, of which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks only; `action` has room for the answer.
    let asked = unsafe { libc::sigaction(signal, null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_DFL
}

fn handle(signal: c_int) -> bool {
    // SAFETY: a `sigaction` is plain data, of which zeros are a value: no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = enter as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `enter` is a handler without `SA_SIGINFO`, and does only what signal-safety(7) allows.
    unsafe { libc::sigaction(signal, &raw const action, null_mut()) == 0 }
}

extern "C" fn enter(_signal: c_int) {
    let ring = RING.swap(-1, Ordering::AcqRel);
    // The signal came too late.
    if ring < 0 {
        return;
    }
    let errno = Errno::last_raw();
    let nothing: *const libc::c_void = null();
    // SAFETY: submits nothing, waits for nothing and passes no memory. The kernel runs the thread's
    // task work, which writes to slots that belong to the kernel. If the descriptor is no longer a
    // ring, the call fails.
    unsafe { libc::syscall(libc::SYS_io_uring_enter, ring, 0, 0, GETEVENTS, nothing, 0) };
    Errno::set_raw(errno);
    DONE.store(true, Ordering::Release);
}

/// `IORING_ENTER_GETEVENTS`.
const GETEVENTS: libc::c_uint = 1;

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::mpsc::channel;

    use nix::unistd::gettid;

    use super::*;

    #[test]
    fn a_thread_that_can_be_interrupted_answers_and_goes_on_with_its_system_call() {
        let (sender, receiver) = channel();
        let (mut reading, writing) = std::io::pipe().unwrap();
        let reader = std::thread::spawn(move || {
            sender.send(gettid()).unwrap();
            reading.read(&mut [0])
        });
        let thread = receiver.recv().unwrap();
        // This is no ring, so entering it fails. The handler ran all the same.
        assert!(interrupt(thread, 1 << 20));
        drop(writing);
        assert_eq!(reader.join().unwrap().unwrap(), 0);
        assert!(!interrupt(thread, 1 << 20), "it has ended");
    }
}
