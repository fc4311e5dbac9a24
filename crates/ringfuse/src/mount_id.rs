//! The unique number of a mount.
#![expect(unsafe_code, reason = "nix has no statx")]

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

/// What tells a mount from all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// A number that no other mount ever has, unlike device and mount numbers, which are reused. `None` on kernels
    /// before Linux 6.8.
    pub id: Option<u64>,
    /// Minor number of its device.
    pub device_minor: u32,
}

/// The topmost mount at `path`. No filesystem is asked for it.
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    ask(libc::AT_FDCWD, &CString::new(path.as_os_str().as_bytes()).ok()?, libc::AT_NO_AUTOMOUNT)
}

/// As [`identity`], for the mount that an open file is on.
pub(crate) fn identity_of(file: BorrowedFd<'_>) -> Option<Identity> {
    ask(file.as_raw_fd(), c"", libc::AT_EMPTY_PATH)
}

fn ask(directory: RawFd, path: &CStr, flags: libc::c_int) -> Option<Identity> {
    // FUSE tells a user who may not enter the mount the device and nothing else: `fuse_getattr`.
    let asked = |mask| statx(directory, path, flags, mask);
    let found = asked(libc::STATX_MNT_ID_UNIQUE).or_else(|_| asked(0)).ok()?;
    let id = (found.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0).then_some(found.stx_mnt_id);
    Some(Identity { id, device_minor: found.stx_dev_minor })
}

fn statx(directory: RawFd, path: &CStr, flags: libc::c_int, mask: u32) -> Result<libc::statx, Errno> {
    let flags = flags | libc::AT_STATX_DONT_SYNC;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: `path` is NUL-terminated, `found` has room for a `struct statx`; both outlive the call.
    let status = unsafe { libc::statx(directory, path.as_ptr(), flags, mask, found.as_mut_ptr()) };
    Errno::result(status)?;
    // SAFETY: zeroed, and all bytes are a valid `struct statx`.
    Ok(unsafe { found.assume_init() })
}
