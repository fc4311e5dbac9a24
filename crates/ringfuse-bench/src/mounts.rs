//! What is mounted, and its end.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    mount::{MntFlags, umount2},
};
use procfs::process::Process;

use crate::error::Error;

/// Whether a filesystem is mounted on `directory`, which must be canonical.
///
/// It reads `/proc/self/mountinfo`, so a filesystem that does not answer cannot block it.
///
/// # Errors
///
/// [`Error::Proc`] if the mounts cannot be read.
pub fn is_mounted(directory: &Path) -> Result<bool, Error> {
    let mounts = Process::myself()
        .and_then(|process| process.mountinfo())
        .map_err(|source| Error::Proc { what: "the mounts", source })?;
    Ok(mounts.into_iter().any(|mount| mount.mount_point == directory))
}

/// Takes a filesystem away, whoever uses it still: its connection is aborted, so no request of it hangs.
///
/// # Errors
///
/// The answer of `umount2`, or of `fusermount3` where `umount2` needs more rights.
pub fn unmount_now(directory: &Path) -> io::Result<()> {
    match umount2(directory, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH) {
        Err(Errno::EPERM) => fusermount(directory),
        outcome => Ok(outcome?),
    }
}

fn fusermount(directory: &Path) -> io::Result<()> {
    let mut command = Command::new("fusermount3");
    command.args(["-u", "-z", "-q", "--"]).arg(directory).stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("fusermount3: {status}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_mounted_and_a_fresh_directory_is_not() {
        let directory = tempfile::tempdir().unwrap();
        assert!(is_mounted(Path::new("/")).unwrap());
        assert!(!is_mounted(directory.path()).unwrap());
    }
}
