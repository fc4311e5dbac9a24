//! `/proc/self/fd`: its links lead to what a descriptor is, whatever its name is by now.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::sync::OnceLock;

use napi_derive::napi;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use super::outcome;
use crate::file_descriptor::lend_fd;

/// The directory, opened once: what is mounted on /proc later does not matter.
static LINKS: OnceLock<nix::Result<OwnedFd>> = OnceLock::new();

/// The directory of the links, each by its descriptor's number.
pub(super) fn links() -> nix::Result<BorrowedFd<'static>> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let links = LINKS.get_or_init(|| open("/proc/self/fd", flags, Mode::empty()));
    links.as_ref().map(AsFd::as_fd).map_err(|errno| *errno)
}

/// The name of a descriptor's link in [`links`].
pub(super) fn link_name(fd: BorrowedFd) -> nix::Result<CString> {
    CString::new(fd.as_raw_fd().to_string()).map_err(|_| Errno::EINVAL)
}

/// The path of a descriptor's link, for calls that have no form with a descriptor.
pub(super) fn link_path(fd: BorrowedFd) -> nix::Result<CString> {
    CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|_| Errno::EINVAL)
}

/// Opens what `fd` is (`O_PATH` too) once more, with other flags: a new descriptor.
#[napi]
#[must_use]
pub fn reopen(fd: i32, flags: i32) -> i32 {
    let open_again = || {
        let flags = OFlag::from_bits_retain(flags) | OFlag::O_CLOEXEC;
        openat(links()?, link_name(lend_fd(fd)?)?.as_c_str(), flags, Mode::empty())
            .map(IntoRawFd::into_raw_fd)
    };
    outcome(open_again())
}
