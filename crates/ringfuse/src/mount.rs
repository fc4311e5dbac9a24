//! A FUSE filesystem's place in the tree of mounts: how it comes there, and how it is taken away.

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

pub use self::fusermount::{Helplessness, probe_fusermount};
pub use self::options::{MountFlags, MountOptions};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::mount_id::mount_id;

/// A FUSE filesystem in the tree of mounts, until it is dropped.
#[derive(Debug)]
pub struct Mount {
    path: PathBuf,
    /// Minor number of the mount's `st_dev`, which is also its number in /sys/fs/fuse/connections. Another mount
    /// may have it when this one is gone.
    connection: Option<u32>,
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
        let connection = table::at(&path).last().map(|found| found.device_minor);
        let id = mount_id(&path);
        Ok((device, Self { path, connection, id, maker }))
    }

    /// A mount that somebody else made. `device` is its connection.
    pub(crate) fn of_other(device: &Device) -> Self {
        let connection = device.connection();
        let found = table::all().into_iter().find(|found| Some(found.device_minor) == connection);
        let path = found.filter(table::MountInfo::is_fuse).map(|found| found.mountpoint);
        Self { path: path.unwrap_or_default(), connection, id: None, maker: Maker::Other }
    }

    /// The mountpoint, absolute and without symbolic links. Empty for a mount that somebody else made where this
    /// process does not see it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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
        if self.maker == Maker::Other || !self.is_mounted() {
            return Ok(());
        }
        let failed = |errno, problem| Error::Unmount { path: self.path.clone(), errno, problem };
        match kernel::unmount(&self.path, how) {
            // EINVAL: it is no mountpoint any more; somebody else was faster.
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(Errno::EPERM) => match fusermount::unmount(&self.path) {
                Err(_) if !self.is_mounted() => Ok(()),
                result => result.map_err(|refusal| failed(refusal.errno, refusal.to_string())),
            },
            Err(errno) => Err(failed(errno, errno.to_string())),
        }
    }

    /// Whether the topmost mount at the path is this one.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        // The path may lead through another mount of this process, which cannot be asked where nothing is mounted
        // below any more: so the table comes first.
        let has_same_id = || match (self.id, mount_id(&self.path)) {
            (Some(own), Some(top)) => own == top,
            _ => true,
        };
        match table::read() {
            Ok(mounts) => {
                let top = mounts.iter().rfind(|found| found.mountpoint == self.path);
                top.is_some_and(|top| self.is_connection(top)) && has_same_id()
            }
            // A process without a descriptor to spare cannot read the table.
            Err(_) => self.id.is_some() && has_same_id(),
        }
    }

    /// Whether the path leads through a FUSE filesystem, which this process may serve as well; so it is taken to be if
    /// the table cannot be read.
    pub(crate) fn is_beneath_fuse(&self) -> bool {
        let above = |found: &table::MountInfo| {
            found.is_fuse() && found.mountpoint != self.path && self.path.starts_with(&found.mountpoint)
        };
        table::read().map_or(true, |mounts| mounts.iter().any(above))
    }

    /// Whether an absolute path leads into this mount, and into none that covers it or lies below it. No filesystem is
    /// asked.
    pub(crate) fn shows(&self, path: &Path) -> bool {
        let mounts = table::all();
        // Of mounts at one path, the topmost comes last.
        let around = mounts.iter().filter(|found| path.starts_with(&found.mountpoint));
        let nearest = around.max_by_key(|found| found.mountpoint.components().count());
        nearest.is_some_and(|nearest| {
            nearest.is_fuse()
                && nearest.mountpoint == self.path
                && self.connection == Some(nearest.device_minor)
        })
    }

    fn is_connection(&self, found: &table::MountInfo) -> bool {
        self.connection.is_none_or(|own| own == found.device_minor)
    }

    /// How many requests the control filesystem says that the connection has.
    pub(crate) fn waiting(&self) -> Option<u64> {
        let path = format!("/sys/fs/fuse/connections/{}/waiting", self.connection?);
        fs::read_to_string(path).ok()?.trim().parse().ok()
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
