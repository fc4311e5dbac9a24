//! `mount(2)` and `umount2(2)`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, mount as system_mount, umount2};
use nix::sys::stat::Mode;
use nix::unistd::{getgid, getuid};

use super::Unmount;
use super::options::MountOptions;
use crate::device::Device;
use crate::mount_id::{Identity, identity, identity_of};

/// The path of an open file, which leads to nothing else whatever is renamed.
fn path_of(file: BorrowedFd<'_>) -> String {
    format!("/proc/thread-self/fd/{}", file.as_raw_fd())
}

/// Mounts the connection that `device` will serve on `path`: on the directory that has the path now, whatever is
/// renamed meanwhile.
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
    let mount_on = |path: &Path| {
        system_mount(
            Some(options.source()),
            path,
            Some(kind.as_str()),
            options.flags.system(),
            Some(data.as_str()),
        )
    };
    let directory =
        open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    match mount_on(path_of(directory.as_fd()).as_ref()) {
        // Without /proc. A directory that was removed is ENOENT, too.
        Err(Errno::ENOENT | Errno::ENOTDIR) if !Path::new("/proc/thread-self/fd").exists() => mount_on(path),
        result => result,
    }
}

/// Takes the mount at `path` out of the tree if it `is_own`: a descriptor holds it from the check to the end, so that no
/// other mount is touched. Open files go on until they are closed, unless `how` says otherwise.
///
/// # Errors
/// The errno of `umount2(2)`; EINVAL if another mount is there.
pub(super) fn unmount(path: &Path, is_own: impl Fn(Identity) -> bool, how: Unmount) -> Result<(), Errno> {
    let flags = match how {
        Unmount::Lazy => MntFlags::MNT_DETACH,
        Unmount::Force => MntFlags::MNT_FORCE | MntFlags::MNT_DETACH,
    };
    let check = |found: Option<Identity>| {
        if found.is_some_and(&is_own) { Ok(()) } else { Err(Errno::EINVAL) }
    };
    let by_path = || {
        check(identity(path))?;
        umount2(path, flags | MntFlags::UMOUNT_NOFOLLOW)
    };
    // With O_PATH no filesystem is asked.
    let held = match open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
        // No descriptor to spare: the path has to do.
        Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => return by_path(),
        held => held?,
    };
    check(identity_of(held.as_fd()))?;
    match umount2(path_of(held.as_fd()).as_str(), flags) {
        // Without /proc.
        Err(Errno::ENOENT | Errno::ENOTDIR) => by_path(),
        result => result,
    }
}
