//! The crate's one error type. A message says what failed, on which object, and what to try.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with a mount or its transport.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value that cannot be.
    #[error("option {option}: {problem}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// What is wrong with its value, and what would be right.
        problem: String,
    },
    /// The mountpoint cannot be used as one.
    #[error("cannot mount on {}: {problem}", path.display())]
    Mountpoint {
        /// Where the mount was to be.
        path: PathBuf,
        /// The error that `stat(2)` or the check gave.
        errno: Errno,
        /// What is wrong, and what mends it.
        problem: String,
    },
    /// `mount(2)` refused.
    #[error("mount {}: {errno}: {remedy}", path.display())]
    Mount {
        /// Where the mount was to be.
        path: PathBuf,
        /// What `mount(2)` said.
        errno: Errno,
        /// What mends it.
        remedy: &'static str,
    },
    /// `fusermount3` refused, or is not to be had.
    #[error("mount {}: {problem}", path.display())]
    Fusermount {
        /// Where the mount was to be.
        path: PathBuf,
        /// What the refusal stands for.
        errno: Errno,
        /// What it said, and what mends it.
        problem: String,
    },
    /// A descriptor that was passed to this process is no connection that can be served.
    #[error("descriptor {number}: {problem}")]
    Descriptor {
        /// Its number.
        number: i32,
        /// What stands in the way.
        errno: Errno,
        /// What is wrong, and what mends it.
        problem: String,
    },
    /// /dev/fuse cannot be opened, read or written.
    #[error("/dev/fuse: {operation}: {errno}: {remedy}")]
    Device {
        /// The system call.
        operation: &'static str,
        /// What it said.
        errno: Errno,
        /// What mends it.
        remedy: &'static str,
    },
    /// The kernel's FUSE_INIT is not one that this library can serve.
    #[error("FUSE_INIT: {0}")]
    Negotiation(String),
    /// A capability was asked for that cannot be had.
    #[error("capability {name} cannot be had: {remedy}")]
    Capability {
        /// The capability's name, as in `linux/fuse.h` without `FUSE_`.
        name: &'static str,
        /// What mends it.
        remedy: String,
    },
    /// FUSE-over-io_uring was asked for and cannot be had.
    #[error("FUSE-over-io_uring is not available: {0}")]
    Ring(RingUnavailable),
    /// An io_uring system call failed.
    #[error("io_uring: {operation}: {source}")]
    IoUring {
        /// What was done.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Memory for the slots cannot be mapped.
    #[error("mapping {bytes} bytes of slot memory: {source}: lower the queue depth or max_write")]
    Memory {
        /// How much was asked for.
        bytes: usize,
        /// What `mmap(2)` said.
        source: io::Error,
    },
    /// The unmount failed.
    #[error("unmount {}: {problem}", path.display())]
    Unmount {
        /// The mountpoint.
        path: PathBuf,
        /// What `umount2(2)` said, or what the refusal of `fusermount3` stands for.
        errno: Errno,
        /// What it said, and what mends it.
        problem: String,
    },
    /// A backing file cannot be used.
    #[error("backing file: {errno}: {remedy}")]
    Backing {
        /// What `ioctl(2)` said.
        errno: Errno,
        /// What mends it.
        remedy: &'static str,
    },
    /// A serving thread could not be started.
    #[error("starting a serving thread: {0}")]
    Thread(io::Error),
    /// A channel's mailbox could not be made, or not watched.
    #[error("eventfd or epoll of a channel: {errno}: see the limit on open files (`ulimit -n`)")]
    Mailbox {
        /// What the kernel said.
        errno: Errno,
    },
    /// A channel was to be rescued whose thread has not ended.
    #[error("thread {thread} still runs: a channel can be rescued when the thread that started it has ended")]
    Rescue {
        /// The thread's id.
        thread: i32,
    },
}

/// Why the ring transport cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingUnavailable {
    /// The kernel did not offer `FUSE_OVER_IO_URING` because the module's switch is off.
    #[error("fuse.enable_uring is off: as root, `echo Y > /sys/module/fuse/parameters/enable_uring`")]
    Disabled,
    /// The kernel has no FUSE-over-io_uring at all.
    #[error("this kernel has no FUSE-over-io_uring: it needs Linux 6.14 or later with CONFIG_FUSE_IO_URING")]
    Unsupported,
    /// io_uring itself is refused.
    #[error(
        "io_uring_setup: {0}: see sysctl kernel.io_uring_disabled, the seccomp profile of the container, \
         and the limit on locked memory"
    )]
    IoUring(Errno),
    /// /dev/fuse was asked for.
    #[error("transport dev_fuse was asked for")]
    NotWanted,
    /// The connection had another server before, which agreed on /dev/fuse with the kernel.
    #[error("the connection was taken over, and goes on by /dev/fuse")]
    TakenOver,
    /// The kernel refused to take an entry of the ring.
    #[error("the kernel refused FUSE_IO_URING_CMD_REGISTER: {0}")]
    Refused(Errno),
}

impl Error {
    /// The `errno` behind the error, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::InvalidOption { .. } => Some(Errno::EINVAL),
            Self::Mountpoint { errno, .. }
            | Self::Mount { errno, .. }
            | Self::Fusermount { errno, .. }
            | Self::Descriptor { errno, .. }
            | Self::Device { errno, .. }
            | Self::Unmount { errno, .. }
            | Self::Backing { errno, .. }
            | Self::Mailbox { errno }
            | Self::Ring(RingUnavailable::IoUring(errno) | RingUnavailable::Refused(errno)) => Some(*errno),
            Self::Capability { .. } | Self::Ring(_) => Some(Errno::EOPNOTSUPP),
            Self::Negotiation(_) => Some(Errno::EPROTO),
            Self::Rescue { .. } => Some(Errno::EBUSY),
            Self::IoUring { source, .. } | Self::Memory { source, .. } | Self::Thread(source) => {
                source.raw_os_error().map(Errno::from_raw)
            }
        }
    }

    /// A stable name for programs: `ERR_RINGFUSE_…`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidOption { .. } => "ERR_RINGFUSE_OPTION",
            Self::Mountpoint { errno: Errno::ENOTCONN, .. } => "ERR_RINGFUSE_STALE_MOUNT",
            Self::Mountpoint { errno: Errno::EBUSY, .. } => "ERR_RINGFUSE_MOUNTPOINT_BUSY",
            Self::Mountpoint { .. } => "ERR_RINGFUSE_MOUNTPOINT",
            Self::Mount { .. } => "ERR_RINGFUSE_MOUNT",
            Self::Fusermount { .. } => "ERR_RINGFUSE_FUSERMOUNT",
            Self::Descriptor { .. } => "ERR_RINGFUSE_DESCRIPTOR",
            Self::Device { .. } => "ERR_RINGFUSE_DEVICE",
            Self::Negotiation(_) => "ERR_RINGFUSE_NEGOTIATION",
            Self::Capability { .. } => "ERR_RINGFUSE_CAPABILITY",
            Self::Ring(_) => "ERR_RINGFUSE_NO_RING",
            Self::IoUring { .. } => "ERR_RINGFUSE_IO_URING",
            Self::Memory { .. } => "ERR_RINGFUSE_MEMORY",
            Self::Unmount { .. } => "ERR_RINGFUSE_UNMOUNT",
            Self::Backing { .. } => "ERR_RINGFUSE_BACKING",
            Self::Thread(_) => "ERR_RINGFUSE_THREAD",
            Self::Mailbox { .. } => "ERR_RINGFUSE_MAILBOX",
            Self::Rescue { .. } => "ERR_RINGFUSE_RESCUE",
        }
    }

    /// The system call that failed, where one did.
    #[must_use]
    pub fn syscall(&self) -> Option<&'static str> {
        match self {
            Self::Mountpoint { .. } | Self::Mount { .. } | Self::Fusermount { .. } => Some("mount"),
            Self::Descriptor { .. } => Some("read"),
            Self::Device { operation, .. } => Some(operation),
            Self::Ring(RingUnavailable::IoUring(_)) => Some("io_uring_setup"),
            Self::IoUring { .. } | Self::Ring(RingUnavailable::Refused(_)) => Some("io_uring_enter"),
            Self::Memory { .. } => Some("mmap"),
            Self::Unmount { .. } => Some("umount2"),
            Self::Backing { .. } => Some("ioctl"),
            _ => None,
        }
    }
}
