//! `mount(2)` and `umount2(2)`.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, mount as system_mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{getgid, getuid};

use super::Unmount;
use super::options::MountOptions;
use crate::device::Device;
use crate::mount_id::mount_id_of;

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

/// Takes the mount at `path` out of the tree if it is the one with the unique number `id`: a descriptor holds it from the
/// check to the end, so that no other mount is touched. Open files go on until they are closed, unless `how` says
/// otherwise.
///
/// # Errors
/// The errno of `umount2(2)`; EINVAL if another mount is there.
pub(super) fn unmount(path: &Path, id: Option<u64>, how: Unmount) -> Result<(), Errno> {
    let flags = match how {
        Unmount::Lazy => MntFlags::MNT_DETACH,
        Unmount::Force => MntFlags::MNT_FORCE | MntFlags::MNT_DETACH,
    };
    // With O_PATH no filesystem is asked.
    let held = match open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
        // No descriptor to spare: the path has to do.
        Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => return umount2(path, flags),
        held => held?,
    };
    if let (Some(own), Some(found)) = (id, mount_id_of(held.as_fd()))
        && own != found
    {
        return Err(Errno::EINVAL);
    }
    match umount2(format!("/proc/thread-self/fd/{}", held.as_raw_fd()).as_str(), flags) {
        // Without /proc.
        Err(Errno::ENOENT | Errno::ENOTDIR) => umount2(path, flags),
        result => result,
    }
}
