//! Extended attributes of what a descriptor is (`O_PATH` too): by its link in /proc, as the calls that take a descriptor
//! want an open file.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use napi_derive::napi;
use nix::errno::Errno;

use super::magic_links::{link_name, link_path, links};
use super::{count, kernel};
use crate::file_descriptor::lend_fd;
use crate::javascript_bytes::Bytes;

/// `getxattr(2)` into `bytes`: how many there are; with no bytes, how many are needed.
#[napi]
#[must_use]
pub fn getxattr(fd: i32, name: Bytes<'_>, bytes: Bytes<'_>) -> i32 {
    count(lend_fd(fd).and_then(|fd| get(fd, &name.to_path()?, bytes)))
}

pub(super) fn get(fd: BorrowedFd, name: &CStr, bytes: Bytes) -> nix::Result<i64> {
    match kernel::getxattrat(links()?, &link_name(fd)?, name, bytes) {
        Err(Errno::ENOSYS) => kernel::getxattr(&link_path(fd)?, name, bytes),
        result => result,
    }
}

/// `setxattr(2)`.
#[napi]
#[must_use]
pub fn setxattr(fd: i32, name: Bytes<'_>, value: Bytes<'_>, flags: u32) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::setxattr(&link_path(fd)?, &name.to_path()?, value, flags)))
}

/// `listxattr(2)` into `bytes`: how many there are; with no bytes, how many are needed.
#[napi]
#[must_use]
pub fn listxattr(fd: i32, bytes: Bytes<'_>) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::listxattr(&link_path(fd)?, bytes)))
}

/// `removexattr(2)`.
#[napi]
#[must_use]
pub fn removexattr(fd: i32, name: Bytes<'_>) -> i32 {
    count(lend_fd(fd).and_then(|fd| kernel::removexattr(&link_path(fd)?, &name.to_path()?)))
}
