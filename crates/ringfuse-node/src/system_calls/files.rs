//! Open files and their contents.
#![expect(clippy::needless_pass_by_value, reason = "napi passes arguments by value")]

use std::os::fd::IntoRawFd;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, copy_file_range, fallocate as allocate, openat as open_at};
use nix::sys::stat::Mode;
use nix::unistd::{
    Whence, close as close_fd, dup as duplicate, fdatasync as sync_data, fsync as sync_file,
    ftruncate as truncate_file, lseek64, syncfs as sync_filesystem,
};

use super::{count, done, kernel, outcome, outcome64};
use crate::file_descriptor::{lend_fd, take_fd};
use crate::javascript_bytes::Bytes;

/// `openat(2)`, always with `O_CLOEXEC`: a descriptor.
#[napi]
#[must_use]
pub fn openat(dir: i32, path: Bytes<'_>, flags: i32, mode: u32) -> i32 {
    let open = || {
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_CLOEXEC;
        let path = path.to_path()?;
        open_at(lend_fd(dir)?, path.as_c_str(), flags, Mode::from_bits_retain(mode))
            .map(IntoRawFd::into_raw_fd)
    };
    outcome(open())
}

/// `close(2)`. The descriptor is gone whatever it returns.
#[napi]
#[must_use]
pub fn close(fd: i32) -> i32 {
    done(take_fd(fd).and_then(close_fd))
}

/// `close(2)` of a duplicate: what it has to say of writes that failed, while the descriptor stays.
#[napi]
#[must_use]
pub fn close_duplicate(fd: i32) -> i32 {
    done(lend_fd(fd).and_then(duplicate).and_then(close_fd))
}

/// `pread(2)` into `bytes`: how many were read.
#[napi]
#[must_use]
pub fn pread(fd: i32, bytes: Bytes<'_>, offset: i64) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::pread(fd, bytes, offset)))
}

/// `pwrite(2)` of `bytes`: how many were written.
#[napi]
#[must_use]
pub fn pwrite(fd: i32, bytes: Bytes<'_>, offset: i64) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::pwrite(fd, bytes, offset)))
}

/// `pwritev2(2)` of `bytes` with `RWF_*` flags: how many were written.
#[napi]
#[must_use]
pub fn pwrite_flags(fd: i32, bytes: Bytes<'_>, offset: i64, flags: i32) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::pwritev2(fd, bytes, offset, flags)))
}

/// `ftruncate(2)`.
#[napi]
#[must_use]
pub fn ftruncate(fd: i32, length: i64) -> i32 {
    done(lend_fd(fd).and_then(|fd| truncate_file(fd, length)))
}

/// `fallocate(2)`.
#[napi]
#[must_use]
pub fn fallocate(fd: i32, mode: i32, offset: i64, length: i64) -> i32 {
    let mode = FallocateFlags::from_bits_retain(mode);
    done(lend_fd(fd).and_then(|fd| allocate(fd, mode, offset, length)))
}

/// `copy_file_range(2)`: how many bytes were copied.
#[napi]
#[must_use]
pub fn copy_file_range_at(from: i32, from_offset: i64, to: i32, to_offset: i64, length: i64) -> i64 {
    let copy = || {
        let (mut from_offset, mut to_offset) = (from_offset, to_offset);
        let length = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
        let (from, to) = (lend_fd(from)?, lend_fd(to)?);
        let copied = copy_file_range(from, Some(&mut from_offset), to, Some(&mut to_offset), length)?;
        i64::try_from(copied).map_err(|_| Errno::EOVERFLOW)
    };
    outcome64(copy())
}

/// `lseek(2)`: the offset.
#[napi]
#[must_use]
pub fn lseek(fd: i32, offset: i64, whence: i32) -> i64 {
    let seek = || {
        let whence = match whence {
            libc::SEEK_SET => Whence::SeekSet,
            libc::SEEK_CUR => Whence::SeekCur,
            libc::SEEK_END => Whence::SeekEnd,
            libc::SEEK_DATA => Whence::SeekData,
            libc::SEEK_HOLE => Whence::SeekHole,
            _ => return Err(Errno::EINVAL),
        };
        lseek64(lend_fd(fd)?, offset, whence)
    };
    outcome64(seek())
}

/// `lseek(2)` of a directory to a position of 63 bits.
#[napi]
#[must_use]
pub fn seekdir(fd: i32, position: BigInt) -> i32 {
    let seek = || {
        let (position, lossless) = position.get_i64();
        if !lossless {
            return Err(Errno::EINVAL);
        }
        lseek64(lend_fd(fd)?, position, Whence::SeekSet).map(drop)
    };
    done(seek())
}

/// `fsync(2)`.
#[napi]
#[must_use]
pub fn fsync(fd: i32) -> i32 {
    done(lend_fd(fd).and_then(sync_file))
}

/// `fdatasync(2)`.
#[napi]
#[must_use]
pub fn fdatasync(fd: i32) -> i32 {
    done(lend_fd(fd).and_then(sync_data))
}

/// `syncfs(2)`.
#[napi]
#[must_use]
pub fn syncfs(fd: i32) -> i32 {
    done(lend_fd(fd).and_then(sync_filesystem))
}

/// `ioctl(2)` for the flags of a file: `FS_IOC_GETFLAGS`, `SETFLAGS`, `GETVERSION`, `FSGETXATTR` and `FSSETXATTR`;
/// ENOTTY for others.
#[napi]
#[must_use]
pub fn ioctl_flags(fd: i32, command: u32, argument: Bytes<'_>) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::ioctl_flags(fd, command, argument)))
}
