//! Whether something can be mounted on a directory, and the removal of a mount there whose server is gone.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::Mode;
use nix::sys::statfs::{fstatfs, statfs};
use nix::unistd::geteuid;

use super::fusermount;
use super::refusal::Refusal;
use super::table;
use crate::error::{Error, Result};
use crate::outside::outside;

/// How long the check of a mountpoint that is a FUSE mount already waits for that mount's answer. The kernel takes
/// apart the ring of a server that was killed a while after its end.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the removal of a stale mount may take.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Finds out whether something can be mounted on `path`; returns it absolute, without symbolic links. With
/// `replace_stale`, mounts there whose server is gone are taken away first.
pub(super) fn check(path: &Path, replace_stale: bool) -> Result<PathBuf> {
    while replace_stale && is_stale(&examine(path)) {
        if !remove_stale(path)? {
            break;
        }
    }
    examine(path)
}

fn is_stale(examined: &Result<PathBuf>) -> bool {
    matches!(examined, Err(Error::Mountpoint { errno: Errno::ENOTCONN, .. }))
}

fn refuse(path: &Path, errno: Errno, problem: String) -> Error {
    Error::Mountpoint { path: path.to_owned(), errno, problem }
}

fn examine(path: &Path) -> Result<PathBuf> {
    let stale = || {
        let shown = path.display();
        let problem = format!(
            "the server of an earlier mount is gone (Transport endpoint is not connected): `umount -l {shown}`, \
             as an ordinary user `fusermount3 -u -z {shown}`; or mount with replaceStale"
        );
        refuse(path, Errno::ENOTCONN, problem)
    };
    let resolved =
        fs::canonicalize(path).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOTCONN) => stale(),
            Some(Errno::ENOENT) => {
                refuse(path, Errno::ENOENT, "it does not exist: make the directory first".to_owned())
            }
            Some(Errno::EACCES) => refuse(
                path,
                Errno::EACCES,
                "this user may not look there: mount on a directory of this user's, and not in another \
                 user's mount"
                    .to_owned(),
            ),
            errno => refuse(path, errno.unwrap_or(Errno::EIO), error.to_string()),
        })?;
    if let Some(found) = table::at(&resolved).last().filter(|found| found.is_fuse()) {
        // ECONNABORTED, ECANCELED: its server died while it was asked.
        if let Some(Err(Errno::ENOTCONN | Errno::ECONNABORTED | Errno::ECANCELED)) = ask(&resolved) {
            return Err(stale());
        }
        let shown = path.display();
        let remedy = if geteuid().is_root() {
            format!("`umount {shown}`")
        } else {
            format!("`fusermount3 -u {shown}` if this user mounted it, otherwise `sudo umount {shown}`")
        };
        let problem =
            format!("a {} filesystem is mounted there already: unmount it first ({remedy})", found.kind);
        return Err(refuse(path, Errno::EBUSY, problem));
    }
    let metadata = fs::metadata(&resolved).map_err(|error| {
        refuse(path, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)), error.to_string())
    })?;
    if metadata.is_dir() {
        Ok(resolved)
    } else {
        Err(refuse(path, Errno::ENOTDIR, "it is not a directory".to_owned()))
    }
}

/// Asks a mounted filesystem for its figures, which the kernel never caches; nothing if it does not answer soon.
fn ask(path: &Path) -> Option<Result<(), Errno>> {
    let path = path.to_owned();
    let answer = outside("ringfuse-ask", move || statfs(&path).map(drop)).ok()?;
    answer.recv_timeout(ANSWER_TIMEOUT).ok()
}

/// Takes the topmost mount at `path` away if it is a FUSE mount whose server is gone. Whether it was.
fn remove_stale(path: &Path) -> Result<bool> {
    let failed = |errno, why: &str| {
        let shown = path.display();
        let problem = format!("the server of an earlier mount is gone, and it cannot be taken away: {why}");
        refuse(path, errno, format!("{problem}: `sudo umount -l {shown}`"))
    };
    let target = path.to_owned();
    let outcome = outside("ringfuse-stale", move || remove_if_dead(&target))?;
    match outcome.recv_timeout(REMOVAL_TIMEOUT) {
        Ok(Ok(removed)) => Ok(removed),
        Ok(Err(refusal)) => Err(failed(Errno::ENOTCONN, &refusal.to_string())),
        Err(_) => Err(failed(Errno::ENOTCONN, "it took too long")),
    }
}

/// As [`remove_stale`]. The mount is held by a descriptor from the check to the end: a dead connection never lives
/// again, and another mount that takes its place is not touched. But `fusermount3` takes a path.
fn remove_if_dead(path: &Path) -> Result<bool, Refusal> {
    let mount = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    if !is_dead_fuse(&mount) {
        return Ok(false);
    }
    let held = format!("/proc/thread-self/fd/{}", mount.as_raw_fd());
    match umount2(held.as_str(), MntFlags::MNT_DETACH) {
        Err(Errno::EPERM) => {
            let mountpoint = fs::read_link(&held).unwrap_or_else(|_| path.to_owned());
            fusermount::unmount(&mountpoint)?;
        }
        result => result?,
    }
    Ok(true)
}

fn is_dead_fuse(mount: &OwnedFd) -> bool {
    let is_fuse = || {
        let information =
            fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", mount.as_raw_fd())).ok()?;
        let id = information.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()?;
        table::all().into_iter().find(|found: &table::MountInfo| found.id == id)
    };
    is_fuse().is_some_and(|found| found.is_fuse())
        && matches!(fstatfs(mount), Err(Errno::ENOTCONN | Errno::ECONNABORTED))
}
