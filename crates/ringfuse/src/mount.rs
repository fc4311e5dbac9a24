//! A FUSE filesystem's place in the tree of mounts: how it comes there, and how it is taken away.

mod connections;
mod fusermount;
mod kernel;
mod mountpoint;
mod options;
mod received_descriptor;
mod refusal;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;

pub(crate) use self::connections::{
    connections_at, connections_of, fuse_connections, mountpoints, waiting_requests,
};
pub use self::fusermount::{Helplessness, probe_fusermount};
pub use self::options::{MountFlags, MountOptions};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::mount_id::{Identity, identity};
use crate::outside::prepare;

/// How often an unmount starts again because the mountpoint has another path by then.
const ATTEMPTS: usize = 3;

/// A FUSE filesystem in the tree of mounts, until it is dropped.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    /// Minor number of the mount's `st_dev`, which is also its number in /sys/fs/fuse/connections. Another mount
    /// may have it when this one is gone.
    connection: Option<u32>,
    /// Number of the mount in /proc/self/mountinfo, which tells where it is: a directory above can be renamed, and the
    /// mount moved. Another mount may have it when this one is gone.
    number: Option<u32>,
    /// Number that no other mount ever has.
    id: Option<u64>,
    maker: Maker,
}

/// Who put a mount into the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// This process, by `mount(2)`.
    Mount,
    /// `fusermount3`, for this process.
    Fusermount,
    /// Somebody else, who passed the open /dev/fuse on and takes the mount away as well.
    Other,
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
    /// Mounts on `path`: by `mount(2)` where this process may, through `fusermount3` where not, or if it is to
    /// unmount.
    ///
    /// # Errors
    /// [`Error::InvalidOption`], [`Error::Mountpoint`], [`Error::Device`], [`Error::Mount`], [`Error::Fusermount`].
    pub(crate) fn new(path: &Path, options: &MountOptions) -> Result<(Device, Self)> {
        options.check()?;
        prepare()?;
        let path = mountpoint::check(path, options.replace_stale)?;
        let (device, maker) = if options.auto_unmount {
            (fusermount::mount(&path, options)?, Maker::Fusermount)
        } else {
            let device = Device::open()?;
            match kernel::mount(&device, &path, options) {
                Ok(()) => (device, Maker::Mount),
                // What root may not, `fusermount3` may not either.
                Err(Errno::EPERM) if !geteuid().is_root() => {
                    (fusermount::mount(&path, options)?, Maker::Fusermount)
                }
                Err(errno) => return Err(Error::Mount { path, errno, remedy: remedy(errno) }),
            }
        };
        let mut mount = Self { path, connection: device.connection(), number: None, id: None, maker };
        mount.identify();
        Ok((device, mount))
    }

    /// Finds a fresh mount in the tree by its device: a directory above may have been renamed, and another mount may
    /// have the path by now.
    fn identify(&mut self) {
        for _ in 0..ATTEMPTS {
            let Ok(mounts) = table::read() else { return self.identify_by_path() };
            let Some(found) = self.own(&mounts) else { return };
            self.connection = Some(found.device_minor);
            self.number = Some(found.id);
            self.id = identity(&found.mountpoint).filter(|found| self.is(*found)).and_then(|found| found.id);
            if self.id.is_some() {
                return;
            }
        }
    }

    /// As [`Mount::identify`], without /proc.
    fn identify_by_path(&mut self) {
        let found = identity(&self.path);
        if let Some(found) = found.filter(|found| self.connection.is_none_or(|own| own == found.device_minor))
        {
            self.connection = Some(found.device_minor);
            self.id = found.id;
        }
    }

    /// Whether what is known of a mount fits this one.
    fn is(&self, found: Identity) -> bool {
        let is_id = self.id.zip(found.id).is_none_or(|(own, found)| own == found);
        self.connection == Some(found.device_minor) && is_id
    }

    /// A mount that somebody else made. `device` is its connection.
    pub(crate) fn of_other(device: &Device) -> Self {
        let connection = device.connection();
        let found = table::all().into_iter().find(|found| Some(found.device_minor) == connection);
        let found = found.filter(table::MountInfo::is_fuse);
        let number = found.as_ref().map(|found| found.id);
        let path = found.map(|found| found.mountpoint).unwrap_or_default();
        Self { path, connection, number, id: None, maker: Maker::Other }
    }

    /// The mountpoint when it was mounted, absolute and without symbolic links. Empty for a mount that somebody else made where this
    /// process does not see it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Minor number of the mount's `st_dev`, whose major number is 0; also its number in /sys/fs/fuse/connections. Nothing
    /// where the kernel does not tell.
    #[must_use]
    pub fn connection(&self) -> Option<u32> {
        self.connection
    }

    /// Who put it into the tree.
    #[must_use]
    pub fn maker(&self) -> Maker {
        self.maker
    }

    /// Takes the mount out of the tree, if it is still there, and this process, or `fusermount3` for it, put it
    /// there.
    ///
    /// This may wait for requests that the kernel sends at the end, so it must not run on a thread that serves
    /// them.
    ///
    /// # Errors
    /// [`Error::Unmount`].
    pub fn unmount(&self, how: Unmount) -> Result<()> {
        if self.maker == Maker::Other {
            return Ok(());
        }
        let mut outcome = Ok(());
        // A directory above may be renamed between the look at the table and the use of the path.
        for _ in 0..ATTEMPTS {
            let Some(path) = self.place().filter(|path| self.is_reached_by(path)) else { return Ok(()) };
            outcome = match kernel::unmount(&path, |found| self.is(found), how) {
                Err(Errno::EPERM) => fusermount::unmount(&path)
                    .map_err(|refusal| self.not_unmounted(refusal.errno, refusal.to_string())),
                result => result.map_err(|errno| self.not_unmounted(errno, errno.to_string())),
            };
            // Nothing, or another mount, is there by then.
            if !matches!(outcome, Err(Error::Unmount { errno: Errno::EINVAL | Errno::ENOENT, .. })) {
                break;
            }
        }
        if outcome.is_err() && self.is_mounted() { outcome } else { Ok(()) }
    }

    fn not_unmounted(&self, errno: Errno, problem: String) -> Error {
        Error::Unmount { path: self.path.clone(), errno, problem }
    }

    /// Whether it is in the tree, and no other mount covers it.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        self.place().is_some_and(|path| self.is_reached_by(&path))
    }

    /// Where it is in the tree now, which need not be where it was mounted. Nothing if it is in it no longer.
    fn place(&self) -> Option<PathBuf> {
        match table::read() {
            Ok(mounts) => self.own(&mounts).map(|found| found.mountpoint.clone()),
            // A process without a descriptor to spare cannot read the table.
            Err(_) => self.id.map(|_| self.path.clone()),
        }
    }

    /// Its line in the table of mounts.
    fn own<'a>(&self, mounts: &'a [table::MountInfo]) -> Option<&'a table::MountInfo> {
        let is_own = |found: &&table::MountInfo| {
            found.is_fuse()
                && self.is_connection(found)
                && self.number.is_none_or(|number| number == found.id)
        };
        // Before the number is known: a mount can have copies elsewhere, where the mount above is shared.
        let at_path = |found: &&table::MountInfo| is_own(found) && found.mountpoint == self.path;
        let anywhere = || mounts.iter().rfind(is_own).filter(|_| self.connection.is_some());
        mounts.iter().rfind(at_path).or_else(anywhere)
    }

    /// Whether a path that the table named leads to it, and not to another mount that covers it.
    fn is_reached_by(&self, path: &Path) -> bool {
        match identity(path) {
            Some(top) if self.id.is_some() => self.is(top),
            _ => table::at(path).pop().is_none_or(|top| self.number.is_none_or(|own| own == top.id)),
        }
    }

    /// Whether the path leads through a FUSE filesystem, which this process may serve as well; so it is taken to be if
    /// the table cannot be read.
    pub(crate) fn is_beneath_fuse(&self) -> bool {
        let Ok(mounts) = table::read() else { return true };
        let path = self.own(&mounts).map_or(&self.path, |found| &found.mountpoint);
        mounts
            .iter()
            .any(|found| found.is_fuse() && found.mountpoint != *path && path.starts_with(&found.mountpoint))
    }

    fn is_connection(&self, found: &table::MountInfo) -> bool {
        self.connection.is_none_or(|own| own == found.device_minor)
    }

    /// How many requests the control filesystem counts for the connection.
    pub(crate) fn waiting(&self) -> Option<u64> {
        waiting_requests(self.connection?)
    }

    /// Aborts the connection by the fuse control filesystem, if that is mounted. This reaches a mount that was
    /// detached from the tree. Only for a connection that has not ended: another one may have
    /// its number afterwards.
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

/// What mends a refusal of `mount(2)`.
fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => {
            "mounting needs CAP_SYS_ADMIN: in a container, `docker run --cap-add SYS_ADMIN --device /dev/fuse`, \
             with AppArmor also `--security-opt apparmor=unconfined`; in a user namespace, a mount namespace too \
             (`unshare --user --map-root-user --mount`)"
        }
        Errno::ENODEV => "the kernel has no FUSE: `modprobe fuse`",
        Errno::EINVAL => "this kernel does not know one of the options: see `dmesg`",
        _ => "see `dmesg` for what the kernel says of it",
    }
}
