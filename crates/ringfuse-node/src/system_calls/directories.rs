//! Names of directories.

use napi_derive::napi;
use nix::fcntl::{AtFlags, RenameFlags, renameat2 as rename_at};
use nix::sys::stat::{Mode, SFlag, mkdirat as make_directory, mknodat as make_node};
use nix::unistd::{UnlinkatFlags, linkat as link_at, symlinkat as symlink_at, unlinkat as unlink_at};

use super::magic_links::{link_name, links};
use super::{count, done, kernel};
use crate::file_descriptor::lend_fd;
use crate::javascript_bytes::Bytes;

/// Type bits of a mode.
pub(super) const TYPE: u32 = 0o170_000;

/// `mkdirat(2)`.
#[napi]
#[must_use]
pub fn mkdirat(dir: i32, path: Bytes<'_>, mode: u32) -> i32 {
    let make = || make_directory(lend_fd(dir)?, path.to_path()?.as_c_str(), Mode::from_bits_retain(mode));
    done(make())
}

/// `mknodat(2)`; `rdev` as `makedev(3)` of 32 bits.
#[napi]
#[must_use]
pub fn mknodat(dir: i32, path: Bytes<'_>, mode: u32, rdev: u32) -> i32 {
    let make = || {
        let (kind, permissions) =
            (SFlag::from_bits_retain(mode & TYPE), Mode::from_bits_retain(mode & !TYPE));
        make_node(lend_fd(dir)?, path.to_path()?.as_c_str(), kind, permissions, rdev.into())
    };
    done(make())
}

/// `symlinkat(2)`.
#[napi]
#[must_use]
pub fn symlinkat(target: Bytes<'_>, dir: i32, path: Bytes<'_>) -> i32 {
    let make = || symlink_at(target.to_path()?.as_c_str(), lend_fd(dir)?, path.to_path()?.as_c_str());
    done(make())
}

/// `linkat(2)`. With `AT_EMPTY_PATH` and no path, of what `from` is (`O_PATH` too), by its link in /proc: the kernel
/// itself allows it only with `CAP_DAC_READ_SEARCH`, or the very credentials that opened `from`.
#[napi]
#[must_use]
pub fn linkat(from: i32, path: Bytes<'_>, to: i32, new_path: Bytes<'_>, flags: i32) -> i32 {
    let link = || {
        let (from, path) = (lend_fd(from)?, path.to_path()?);
        let (to, new_path) = (lend_fd(to)?, new_path.to_path()?);
        let flags = AtFlags::from_bits_retain(flags);
        if flags.contains(AtFlags::AT_EMPTY_PATH) && path.is_empty() {
            let follow = AtFlags::AT_SYMLINK_FOLLOW;
            return link_at(links()?, link_name(from)?.as_c_str(), to, new_path.as_c_str(), follow);
        }
        link_at(from, path.as_c_str(), to, new_path.as_c_str(), flags)
    };
    done(link())
}

/// `unlinkat(2)`: of a directory if `directory`.
#[napi]
#[must_use]
pub fn unlinkat(dir: i32, path: Bytes<'_>, directory: bool) -> i32 {
    let flag = if directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
    done(lend_fd(dir).and_then(|dir| unlink_at(dir, path.to_path()?.as_c_str(), flag)))
}

/// `renameat2(2)`.
#[napi]
#[must_use]
pub fn renameat2(from: i32, path: Bytes<'_>, to: i32, new_path: Bytes<'_>, flags: u32) -> i32 {
    let rename = || {
        let (path, new_path) = (path.to_path()?, new_path.to_path()?);
        let flags = RenameFlags::from_bits_retain(flags);
        rename_at(lend_fd(from)?, path.as_c_str(), lend_fd(to)?, new_path.as_c_str(), flags)
    };
    done(rename())
}

/// `readlinkat(2)` into `bytes`: how many there are.
#[napi]
#[must_use]
pub fn readlinkat(dir: i32, path: Bytes<'_>, bytes: Bytes<'_>) -> i32 {
    let read = || kernel::readlink(lend_fd(dir)?, path.to_path()?.as_c_str(), bytes);
    count(read())
}

/// `getdents64(2)` into `bytes`: how many were written, 0 at the end.
#[napi]
#[must_use]
pub fn getdents64(fd: i32, bytes: Bytes<'_>) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::getdents(fd, bytes)))
}
