//! `mount(2)` and `umount2(2)` of a FUSE filesystem, and what is mounted where.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::statfs;
use nix::unistd::{getgid, getuid};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::mount_id::mount_id;
use crate::outside::outside;

/// How long the check of a mountpoint that is a FUSE mount already waits for that mount's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

/// Options of `mount(2)` for FUSE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions {
    /// Shown in /proc/mounts as the source, and after `fuse.` as the type.
    pub name: String,
    /// Let other users in.
    pub allow_other: bool,
    /// Let the kernel check permissions by mode, owner and group.
    pub default_permissions: bool,
    /// Refuse all changes.
    pub read_only: bool,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self { name: "ringfuse".to_owned(), allow_other: false, default_permissions: false, read_only: false }
    }
}

/// A FUSE filesystem in the tree of mounts, until it is dropped.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    /// Minor number of the mount's `st_dev`, which is also its number in /sys/fs/fuse/connections. Another mount
    /// may have it when this one is gone.
    connection: Option<u32>,
    id: Option<u64>,
}

/// How a mount is taken out of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmount {
    /// At once if nothing uses it, otherwise lazily: open files go on until they are closed.
    Lazy,
    /// At once, whoever uses it: callers that wait get ECONNABORTED.
    Force,
}

impl Mount {
    /// Mounts the connection that `device` will serve on `path`.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], [`Error::Mountpoint`], [`Error::Mount`].
    pub fn new(device: &Device, path: &Path, options: &MountOptions) -> Result<Self> {
        check_name(&options.name)?;
        let path = check_mountpoint(path)?;
        let mut data = format!(
            "fd={},rootmode=40000,user_id={},group_id={}",
            device.as_fd().as_raw_fd(),
            getuid(),
            getgid()
        );
        if options.default_permissions {
            data.push_str(",default_permissions");
        }
        if options.allow_other {
            data.push_str(",allow_other");
        }
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        if options.read_only {
            flags |= MsFlags::MS_RDONLY;
        }
        let kind = format!("fuse.{}", options.name);
        mount(Some(options.name.as_str()), &path, Some(kind.as_str()), flags, Some(data.as_str())).map_err(
            |errno| Error::Mount {
                path: path.clone(),
                errno,
                remedy: match errno {
                    Errno::EPERM => "mounting needs root (CAP_SYS_ADMIN)",
                    Errno::ENODEV => "the kernel has no FUSE: `modprobe fuse`",
                    _ => "see `dmesg` for what the kernel says of it",
                },
            },
        )?;
        let connection = mounts_at(&path).last().map(|found| found.device_minor);
        let id = mount_id(&path);
        Ok(Self { path, connection, id })
    }

    /// The mountpoint, absolute and without symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the mount out of the tree, if it is still there.
    ///
    /// This may wait for requests that the kernel sends at the end, so it must not run on a thread that serves
    /// them.
    ///
    /// # Errors
    /// [`Error::Unmount`].
    pub fn unmount(&self, how: Unmount) -> Result<()> {
        if !self.is_mounted() {
            return Ok(());
        }
        let result = match how {
            Unmount::Lazy => match umount2(&self.path, MntFlags::empty()) {
                Err(Errno::EBUSY) => umount2(&self.path, MntFlags::MNT_DETACH),
                result => result,
            },
            Unmount::Force => umount2(&self.path, MntFlags::MNT_FORCE | MntFlags::MNT_DETACH),
        };
        match result {
            // EINVAL: it is no mountpoint any more; somebody else was faster.
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(errno) => Err(Error::Unmount { path: self.path.clone(), errno }),
        }
    }

    /// Whether the topmost mount at the path is this one.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        mounts_at(&self.path).last().is_some_and(|top| Some(top.device_minor) == self.connection)
            && match (self.id, mount_id(&self.path)) {
                (Some(own), Some(top)) => own == top,
                _ => true,
            }
    }

    /// Aborts the connection by the fuse control filesystem, if that is mounted. This reaches a mount that was
    /// detached from the tree. Only for a connection that has not ended: see [`Mount::connection`].
    pub(crate) fn abort(&self) {
        if let Some(number) = self.connection {
            let _ = fs::write(format!("/sys/fs/fuse/connections/{number}/abort"), "1");
        }
    }
}

impl Drop for Mount {
    /// Takes the mount away, if it is still there, and ends its connection.
    fn drop(&mut self) {
        if self.is_mounted() {
            let _ = self.unmount(Unmount::Force);
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+@:#/".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        let problem = format!("{name:?} is not 1 to 64 letters, digits or any of - _ . + @ : # /");
        return Err(Error::InvalidOption { option: "name", problem });
    }
    Ok(())
}

/// Finds out whether something can be mounted on `path`; returns it absolute, without symbolic links.
fn check_mountpoint(path: &Path) -> Result<PathBuf> {
    let refuse = |errno, problem: String| Error::Mountpoint { path: path.to_owned(), errno, problem };
    let stale = || {
        refuse(
            Errno::ENOTCONN,
            format!(
                "the server of an earlier mount is gone (Transport endpoint is not connected): `umount -l {}`",
                path.display()
            ),
        )
    };
    let resolved =
        fs::canonicalize(path).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOTCONN) => stale(),
            Some(Errno::ENOENT) => {
                refuse(Errno::ENOENT, "it does not exist: make the directory first".to_owned())
            }
            errno => refuse(errno.unwrap_or(Errno::EIO), error.to_string()),
        })?;
    if let Some(found) = mounts_at(&resolved).last().filter(|found| found.is_fuse()) {
        return match ask(&resolved) {
            // ECONNABORTED: its server died while it was asked.
            Some(Err(Errno::ENOTCONN | Errno::ECONNABORTED)) => Err(stale()),
            _ => Err(refuse(
                Errno::EBUSY,
                format!(
                    "a {} filesystem is mounted there already: unmount it first (`umount {}`)",
                    found.kind,
                    path.display()
                ),
            )),
        };
    }
    let metadata = fs::metadata(&resolved).map_err(|error| {
        refuse(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)), error.to_string())
    })?;
    if metadata.is_dir() {
        Ok(resolved)
    } else {
        Err(refuse(Errno::ENOTDIR, "it is not a directory".to_owned()))
    }
}

/// Asks a mounted filesystem for its figures, which the kernel never caches; nothing if it does not answer soon.
fn ask(path: &Path) -> Option<Result<(), Errno>> {
    let path = path.to_owned();
    let answer = outside("ringfuse-ask", move || statfs(&path).map(drop)).ok()?;
    answer.recv_timeout(ANSWER_TIMEOUT).ok()
}

/// One line of /proc/self/mountinfo.
#[derive(Debug, PartialEq, Eq)]
struct MountInfo {
    device_minor: u32,
    mountpoint: PathBuf,
    kind: String,
}

impl MountInfo {
    fn is_fuse(&self) -> bool {
        self.kind == "fuse" || self.kind == "fuseblk" || self.kind.starts_with("fuse.")
    }
}

/// The mounts at `path`, the topmost last.
fn mounts_at(path: &Path) -> Vec<MountInfo> {
    let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
    table
        .split(|byte| *byte == b'\n')
        .filter_map(parse_mountinfo)
        .filter(|found| found.mountpoint == path)
        .collect()
}

/// Parses `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE OPTIONS`, proc_pid_mountinfo(5).
fn parse_mountinfo(line: &[u8]) -> Option<MountInfo> {
    use std::os::unix::ffi::OsStringExt;
    let text = String::from_utf8_lossy(line);
    let mut fields = line.split(|byte| *byte == b' ');
    let device = std::str::from_utf8(fields.nth(2)?).ok()?;
    let device_minor = device.split_once(':')?.1.parse().ok()?;
    let mountpoint = PathBuf::from(std::ffi::OsString::from_vec(unescape(fields.nth(1)?)));
    let kind = text.split_once(" - ")?.1.split(' ').next()?.to_owned();
    Some(MountInfo { device_minor, mountpoint, kind })
}

/// Undoes the octal escapes of blanks, tabs, line feeds and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        };
        let escaped = if *first == b'\\' { after.get(..3).and_then(octal) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read() {
        let line = b"36 35 0:44 / /mnt/a\\040b rw,nosuid shared:7 - fuse.hello hello rw,user_id=0";
        let expected = MountInfo {
            device_minor: 44,
            mountpoint: PathBuf::from("/mnt/a b"),
            kind: "fuse.hello".to_owned(),
        };
        assert_eq!(parse_mountinfo(line), Some(expected));
        assert_eq!(parse_mountinfo(b"nonsense"), None);
    }

    #[test]
    fn a_name_that_mount_options_could_not_hold_is_refused() {
        assert!(check_name("hello").is_ok());
        for name in ["", "a,b", "a b", "ü", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
