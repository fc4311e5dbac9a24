//! `mount(2)` and `umount2(2)`.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MntFlags, mount as system_mount, umount2};
use nix::unistd::{getgid, getuid};

use super::Unmount;
use super::options::MountOptions;
use crate::device::Device;

/// Mounts the connection that `device` will serve on `path`.
///
/// # Errors
/// The errno of `mount(2)`.
pub(super) fn mount(device: &Device, path: &Path, options: &MountOptions) -> Result<(), Errno> {
    let fd = device.as_fd().as_raw_fd();
    let mut data = format!("fd={fd},rootmode=40000,user_id={},group_id={}", getuid(), getgid());
    for word in options.data() {
        data.push(',');
        data.push_str(word);
    }
    let kind = options.kind();
    system_mount(
        Some(options.source()),
        path,
        Some(kind.as_str()),
        options.flags.system(),
        Some(data.as_str()),
    )
}

/// Takes the topmost mount at `path` out of the tree.
///
/// # Errors
/// The errno of `umount2(2)`.
pub(super) fn unmount(path: &Path, how: Unmount) -> Result<(), Errno> {
    match how {
        Unmount::Lazy => match umount2(path, MntFlags::empty()) {
            Err(Errno::EBUSY) => umount2(path, MntFlags::MNT_DETACH),
            result => result,
        },
        Unmount::Force => umount2(path, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH),
    }
}
