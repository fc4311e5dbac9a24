//! File descriptors that JavaScript passes as numbers.
#![expect(unsafe_code, reason = "borrows descriptors by number")]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

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
