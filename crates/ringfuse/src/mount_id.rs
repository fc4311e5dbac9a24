//! The unique number of a mount.
#![expect(unsafe_code, reason = "nix has no statx")]

use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

/// The number of the topmost mount at `path`, which no other mount ever has, unlike device and mount numbers, which
/// are used again. Nothing on kernels before Linux 6.8. No filesystem is asked for it.
pub(crate) fn mount_id(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let flags = libc::AT_NO_AUTOMOUNT | libc::AT_STATX_DONT_SYNC;
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: `path` is NUL-terminated, `found` has room for a `struct statx`; both outlive the call.
    let status = unsafe {
        libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, libc::STATX_MNT_ID_UNIQUE, found.as_mut_ptr())
    };
    Errno::result(status).ok()?;
    // SAFETY: zeroed, and all bytes are a valid `struct statx`.
    let found = unsafe { found.assume_init() };
    (found.stx_mask & libc::STATX_MNT_ID_UNIQUE != 0).then_some(found.stx_mnt_id)
}
