//! /dev/fuse: opened, read into slots, written with replies.
#![expect(unsafe_code, reason = "scatters system calls over slot memory")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fuse_abi::{
    BackingMap, DEV_IOC_BACKING_CLOSE, DEV_IOC_BACKING_OPEN, DEV_IOC_CLONE, InHeader, OutHeader, WriteIn,
};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use zerocopy::IntoBytes;

use crate::error::{Error, Result};
use crate::forked::ClosedInChildren;
use crate::kernel::DeviceSide;
use crate::kick::kick;
use crate::memory::Region;
use crate::parse::arguments_size;
use crate::slot::{SlotIndex, Slots};

/// Bytes before the data of a WRITE request on /dev/fuse.
const WRITE_PREFIX: usize = size_of::<InHeader>() + size_of::<WriteIn>();

/// An open /dev/fuse. Close-on-exec: a child that inherited it would keep a dead mount's callers waiting.
#[derive(Debug)]
pub struct Device {
    /// Before `fd`, and so dropped before it.
    _closed_in_children: ClosedInChildren,
    fd: OwnedFd,
    /// Who waits for the end of the connection learns of it when this socket is closed, and so it must be closed after
    /// every descriptor and ring that holds the connection.
    watcher: Option<Arc<OwnedFd>>,
    /// Where the connection is mounted, once it is.
    mountpoint: Arc<OnceLock<PathBuf>>,
}

/// What a read of /dev/fuse found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A request now fills the slot; its payload has so many bytes.
    Request {
        /// Length of what follows the argument struct.
        payload_length: usize,
    },
    /// A request that contradicts itself; its `unique`, to refuse it.
    Garbled {
        /// The request's id.
        unique: u64,
    },
    /// Nothing waits.
    Nothing,
    /// The connection ended: unmounted or aborted.
    Ended,
}

impl Device {
    /// Opens /dev/fuse.
    ///
    /// # Errors
    /// [`Error::Device`], with the remedy for the usual reasons.
    pub fn open() -> Result<Self> {
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        open("/dev/fuse", flags, Mode::empty()).map(|fd| Self::new(fd, None)).map_err(|errno| Error::Device {
            operation: "open",
            errno,
            remedy: match errno {
                Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => {
                    "load the module (`modprobe fuse`); in a container, pass the device (`--device /dev/fuse`)"
                }
                Errno::EACCES | Errno::EPERM => {
                    "this user may not open it: `sudo chmod 0666 /dev/fuse`, as udev does; in a container, see its \
                     device rules"
                }
                _ => "see `ringfuse doctor`",
            },
        })
    }

    /// One that somebody else opened, and the socket of who waits for its end.
    ///
    /// # Errors
    /// The errno of `fcntl(2)`.
    pub(crate) fn from_fd(fd: OwnedFd, watcher: Option<OwnedFd>) -> Result<Self, Errno> {
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self::new(fd, watcher))
    }

    fn new(fd: OwnedFd, watcher: Option<OwnedFd>) -> Self {
        Self {
            _closed_in_children: ClosedInChildren::of(fd.as_fd()),
            fd,
            watcher: watcher.map(Arc::new),
            mountpoint: Arc::default(),
        }
    }

    /// Notes where the connection is mounted.
    pub(crate) fn set_mountpoint(&self, path: &Path) {
        // Once for all descriptors of the connection.
        let _ = self.mountpoint.set(path.to_owned());
    }

    /// The socket that is to be closed last.
    pub(crate) fn watcher(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(AsFd::as_fd)
    }

    /// The number in /sys/fs/fuse/connections of what it serves; nothing before it is mounted, or where the kernel
    /// does not tell.
    pub(crate) fn connection(&self) -> Option<u32> {
        let path = format!("/proc/thread-self/fdinfo/{}", self.fd.as_raw_fd());
        let information = std::fs::read_to_string(path).ok()?;
        information.lines().find_map(|line| line.strip_prefix("fuse_connection:"))?.trim().parse().ok()
    }
}

/// Where a request is read to: so that the data of a WRITE arrives at the start of the slot's payload.
pub(crate) fn read_space(slots: &Slots, slot: SlotIndex) -> (&Region, usize, usize) {
    let (region, payload) = slots.payload(slot);
    (region, payload - WRITE_PREFIX, WRITE_PREFIX + slots.payload_size())
}

/// Lays a request of `count` bytes in the slot's [`read_space`] out as the ring would: header and argument struct in
/// the header block, the rest in the payload.
pub(crate) fn lay_out(slots: &Slots, slot: SlotIndex, count: usize, setxattr_ext: bool) -> Arrival {
    let (region, start, _) = read_space(slots, slot);
    if count < size_of::<InHeader>() {
        return Arrival::Nothing;
    }
    let header: InHeader = region.read(start);
    let arguments = arguments_size(header.opcode, setxattr_ext);
    let prefix = size_of::<InHeader>() + arguments;
    if header.len as usize != count || prefix > count {
        return Arrival::Garbled { unique: header.unique };
    }
    slots.set_in_header(slot, header);
    region.copy_to(start + size_of::<InHeader>(), slots.headers(), Slots::arguments_offset(slot), arguments);
    if prefix != WRITE_PREFIX {
        region.move_within(start + prefix, start + WRITE_PREFIX, count - prefix);
    }
    Arrival::Request { payload_length: count - prefix }
}

impl DeviceSide for Device {
    fn another(&self) -> Result<Self> {
        let device =
            Self { watcher: self.watcher.clone(), mountpoint: Arc::clone(&self.mountpoint), ..Self::open()? };
        let original = self.fd.as_raw_fd();
        // SAFETY: the request takes a pointer to a 32-bit descriptor, which it only reads.
        let cloned = unsafe { libc::ioctl(device.fd.as_raw_fd(), DEV_IOC_CLONE.into(), &raw const original) };
        Errno::result(cloned).map(|_| device).map_err(|errno| Error::Device {
            operation: "ioctl",
            errno,
            remedy: "FUSE_DEV_IOC_CLONE needs Linux 4.2, and a mounted filesystem",
        })
    }

    fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::empty())];
        poll(&mut fds, PollTimeout::ZERO).is_ok()
            && fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
    }

    fn read(&self, slots: &Slots, slot: SlotIndex, setxattr_ext: bool) -> Result<Arrival, Errno> {
        let (region, start, length) = read_space(slots, slot);
        let buffer = region.at(start, length);
        let result = loop {
            // SAFETY: `at` checked that the range is in the region; the slot is free, so nobody else uses it.
            let count = unsafe { libc::read(self.fd.as_raw_fd(), buffer.cast(), length) };
            match Errno::result(count) {
                // ENOENT: the request was aborted while it was being read (`fuse_dev_do_read`).
                Err(Errno::EINTR | Errno::ENOENT) => {}
                result => break result,
            }
        };
        match result {
            Ok(count) => Ok(lay_out(slots, slot, usize::try_from(count).unwrap_or(0), setxattr_ext)),
            Err(Errno::EAGAIN) => Ok(Arrival::Nothing),
            Err(Errno::ENODEV | Errno::ECONNABORTED | Errno::ENOTCONN) => Ok(Arrival::Ended),
            Err(errno) => Err(errno),
        }
    }

    fn reply(&self, header: OutHeader, slots: &Slots, slot: SlotIndex, length: usize) -> Result<(), Errno> {
        let (region, payload) = slots.payload(slot);
        let parts = [
            libc::iovec { iov_base: (&raw const header).cast_mut().cast(), iov_len: size_of::<OutHeader>() },
            libc::iovec { iov_base: region.at(payload, length).cast(), iov_len: length },
        ];
        // SAFETY: both parts are valid for reads of their lengths during the call: `header` lives on this
        // stack, `at` checked the payload's range, and the slot is this thread's until the reply is out.
        let written = unsafe { libc::writev(self.fd.as_raw_fd(), parts.as_ptr(), 2) };
        Errno::result(written).map(drop)
    }

    fn reply_bytes(&self, unique: u64, error: i32, bytes: &[u8]) -> Result<(), Errno> {
        let header = OutHeader::new(unique, error, bytes.len());
        let message = [header.as_bytes(), bytes].concat();
        nix::unistd::write(&self.fd, &message).map(drop)
    }

    fn kick(&self, queue: u16, count: usize) {
        if let Some(path) = self.mountpoint.get() {
            kick(path.clone(), queue, count);
        }
    }
}

impl Device {
    /// Gives the kernel a file to pass reads and writes through to; returns its id.
    ///
    /// # Errors
    /// The errno of `ioctl(2)`: EPERM without `CAP_SYS_ADMIN` or `PASSTHROUGH`, ELOOP if the file's filesystem is
    /// stacked too deep.
    pub(crate) fn open_backing(&self, file: BorrowedFd<'_>) -> Result<u32, Errno> {
        let map = BackingMap { fd: file.as_raw_fd(), ..BackingMap::default() };
        // SAFETY: the request takes a pointer to a `struct fuse_backing_map`, which it only reads.
        let id = unsafe { libc::ioctl(self.fd.as_raw_fd(), DEV_IOC_BACKING_OPEN.into(), &raw const map) };
        Errno::result(id).map(i32::cast_unsigned)
    }

    /// Takes a backing file back; files that were opened with it keep it.
    ///
    /// # Errors
    /// The errno of `ioctl(2)`: ENOENT if there is no such id.
    pub(crate) fn close_backing(&self, id: u32) -> Result<(), Errno> {
        // SAFETY: the request takes a pointer to a 32-bit id, which it only reads.
        let closed = unsafe { libc::ioctl(self.fd.as_raw_fd(), DEV_IOC_BACKING_CLOSE.into(), &raw const id) };
        Errno::result(closed).map(drop)
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
