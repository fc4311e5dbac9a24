//! Attributes of files and of filesystems.

use napi_derive::napi;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat as change_owner};

use super::magic_links::link_path;
use super::{count, done, kernel};
use crate::file_descriptor::lend_fd;
use crate::javascript_bytes::Bytes;

/// `statx(2)` into `bytes`, 256 of them.
#[napi]
#[must_use]
pub fn statx(dir: i32, path: Bytes<'_>, flags: i32, mask: u32, bytes: Bytes<'_>) -> i32 {
    let look = || kernel::statx(lend_fd(dir)?, path.to_path()?.as_c_str(), flags, mask, bytes);
    count(look())
}

/// `statx(2)` of a descriptor itself (`O_PATH` too) into `bytes`, 256 of them.
#[napi]
#[must_use]
pub fn fstatx(fd: i32, flags: i32, mask: u32, bytes: Bytes<'_>) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::statx(fd, c"", flags | libc::AT_EMPTY_PATH, mask, bytes)))
}

/// `fstatfs(2)` into `bytes`, 120 of them.
#[napi]
#[must_use]
pub fn fstatfs(fd: i32, bytes: Bytes<'_>) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::fstatfs(fd, bytes)))
}

/// Whether this thread, as which it acts now, may use what `fd` is (`O_PATH` too) as `mode` says (`R_OK`, `W_OK`,
/// `X_OK`): `faccessat2(2)` with `AT_EACCESS`.
#[napi]
#[must_use]
pub fn faccess(fd: i32, mode: i32) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::faccess(fd, mode)))
}

/// Sets the mode of what `fd` is (`O_PATH` too), as `fchmodat2(2)`.
#[napi]
#[must_use]
pub fn fchmod(fd: i32, mode: u32) -> i32 {
    let change = || {
        let fd = lend_fd(fd)?;
        match kernel::fchmod(fd, mode) {
            Err(Errno::ENOSYS) => kernel::chmod(&link_path(fd)?, mode),
            result => result,
        }
    };
    count(change())
}

/// Sets owner and group of what `fd` is (`O_PATH` too), as `fchownat(2)`; -1 leaves one as it is.
#[napi]
#[must_use]
pub fn fchown(fd: i32, uid: i64, gid: i64) -> i32 {
    let change = || {
        let uid = (uid >= 0).then(|| u32::try_from(uid).map(Uid::from_raw)).transpose();
        let gid = (gid >= 0).then(|| u32::try_from(gid).map(Gid::from_raw)).transpose();
        let (uid, gid) = (uid.map_err(|_| Errno::EINVAL)?, gid.map_err(|_| Errno::EINVAL)?);
        change_owner(lend_fd(fd)?, c"", uid, gid, AtFlags::AT_EMPTY_PATH)
    };
    done(change())
}

/// Sets the times of what `fd` is (`O_PATH` too), as `utimensat(2)`: seconds and nanoseconds of access and of change,
/// nanoseconds may be `UTIME_NOW` and `UTIME_OMIT`.
#[napi]
#[must_use]
pub fn futimens(fd: i32, access: i64, access_nsec: u32, modification: i64, modification_nsec: u32) -> i32 {
    let times =
        [TimeSpec::new(access, access_nsec.into()), TimeSpec::new(modification, modification_nsec.into())];
    count(lend_fd(fd).and_then(|fd| kernel::futimens(fd, &times.map(|time| *time.as_ref()))))
}
