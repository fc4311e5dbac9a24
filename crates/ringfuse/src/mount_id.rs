//! The unique number of a mount.
#![expect(unsafe_code, reason = "nix has no statx")]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

/// The number of the topmost mount at `path`, which no other mount ever has, unlike device and mount numbers, which
/// are used again. Nothing on kernels before Linux 6.8. No filesystem is asked for it.
pub(crate) fn mount_id(path: &Path) -> Option<u64> {
    ask(libc::AT_FDCWD, &CString::new(path.as_os_str().as_bytes()).ok()?, libc::AT_NO_AUTOMOUNT)
}

/// As [`mount_id`], for the mount that an open file is on.
pub(crate) fn mount_id_of(file: BorrowedFd<'_>) -> Option<u64> {
    ask(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

fn ask(directory: RawFd, path: &CStr, flags: libc::c_int) -> Option<u64> {
    let flags = flags | libc::AT_STATX_DONT_SYNC;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: `path` is NUL-terminated, `found` has room for a `struct statx`; both outlive the call.
    let status = unsafe {
        libc::statx(directory, path.as_ptr(), flags, libc::STATX_MNT_ID_UNIQUE, found.as_mut_ptr())
    };
    Errno::result(status).ok()?;
    // SAFETY: zeroed, and all bytes are a valid `struct statx`.
    let found = unsafe { found.assume_init() };
    (found.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0).then_some(found.stx_mnt_id)
}
