//! File descriptors that JavaScript passes as numbers.
#![expect(unsafe_code, reason = "borrows descriptors by number")]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::close;
use ringfuse::{Error, Result, check_descriptor};

/// Held while a descriptor changes hands, so that no number is closed twice.
static TAKING: Mutex<()> = Mutex::new(());

/// Takes over the descriptor of this number, an open /dev/fuse: it has another number then, and is close-on-exec.
///
/// # Errors
/// [`Error::Descriptor`] if it is none; it stays as it is then.
pub(crate) fn take_over(number: RawFd) -> Result<OwnedFd> {
    let failed = |errno: Errno| Error::Descriptor { number, errno, problem: errno.to_string() };
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let given = borrow_fd(number).ok_or_else(|| Error::Descriptor {
        number,
        errno: Errno::EBADF,
        problem: "it is not open: was it passed to this process, as one of `stdio`?".to_owned(),
    })?;
    check_descriptor(given)?;
    let owned = given
        .try_clone_to_owned()
        .map_err(|error| failed(error.raw_os_error().map_or(Errno::EBADF, Errno::from_raw)))?;
    close(number).map_err(failed)?;
    Ok(owned)
}

/// The descriptor of this number for the length of a call, if it is open.
pub(crate) fn borrow_fd<'a>(fd: RawFd) -> Option<BorrowedFd<'a>> {
    if fd < 0 {
        return None;
    }
    // SAFETY: not -1. Whether it is open is asked next; while JavaScript waits for the call, on the one thread
    // that it has, only another thread could close it, which would be as wrong for any system call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_GETFD).ok().map(|_| borrowed)
}

/// The descriptor of this number for the length of a call that itself says EBADF if it is not open.
///
/// # Errors
/// EBADF if no descriptor has this number.
pub(crate) fn lend_fd<'a>(fd: RawFd) -> nix::Result<BorrowedFd<'a>> {
    if fd == -1 {
        return Err(Errno::EBADF);
    }
    // SAFETY: not -1. JavaScript, on the one thread that it has, waits for the call; AT_FDCWD is no descriptor, and
    // an argument like one.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Takes a descriptor over from JavaScript, which gives up the number.
///
/// # Errors
/// EBADF if it is not open.
pub(crate) fn take_fd(fd: RawFd) -> nix::Result<OwnedFd> {
    borrow_fd(fd).ok_or(Errno::EBADF)?;
    // SAFETY: it is open, and the caller's to give away.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
