//! File descriptors that JavaScript passes as numbers.
#![expect(unsafe_code, reason = "borrows descriptors by number")]

use std::os::fd::{BorrowedFd, RawFd};

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
