//! Flags of requests and replies. Those of INIT are in [`InitFlags`](crate::InitFlags).
//!
//! A struct's field is the plain integer; `from_bits_retain` makes it flags, and keeps bits that a newer kernel may
//! have set.

use bitflags::bitflags;

bitflags! {
    /// How an open file behaves: [`OpenOut::open_flags`](crate::OpenOut::open_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FopenFlags: u32 {
        /// Reads and writes bypass the page cache. Since 7.2.
        const DIRECT_IO = 1 << 0;
        /// Cached data survive the open. Since 7.2.
        const KEEP_CACHE = 1 << 1;
        /// The file has no position to seek. Since 7.10.
        const NONSEEKABLE = 1 << 2;
        /// The listing of this directory may be cached. Since 7.28.
        const CACHE_DIR = 1 << 3;
        /// The file is a stream: it has no position at all. The header does not say since when.
        const STREAM = 1 << 4;
        /// Closing sends no `flush`, unless there is a write-back cache. Since 7.35.
        const NOFLUSH = 1 << 5;
        /// Direct writes to one inode may be under way at once. Since 7.38.
        const PARALLEL_DIRECT_WRITES = 1 << 6;
        /// Reads and writes go to the backing file `backing_id`. Since 7.40.
        const PASSTHROUGH = 1 << 7;
    }

    /// Which attributes to change: [`SetattrIn::valid`](crate::SetattrIn::valid).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FattrFlags: u32 {
        /// `mode` is set. Since 7.1.
        const MODE = 1 << 0;
        /// `uid` is set. Since 7.1.
        const UID = 1 << 1;
        /// `gid` is set. Since 7.1.
        const GID = 1 << 2;
        /// `size` is set. Since 7.1.
        const SIZE = 1 << 3;
        /// `atime` is set. Since 7.1.
        const ATIME = 1 << 4;
        /// `mtime` is set. Since 7.1.
        const MTIME = 1 << 5;
        /// `fh` is an open file of the caller. Since 7.3.
        const FH = 1 << 6;
        /// `atime` is the server's present time. Since 7.9.
        const ATIME_NOW = 1 << 7;
        /// `mtime` is the server's present time. Since 7.9.
        const MTIME_NOW = 1 << 8;
        /// `lock_owner` is set. Since 7.9.
        const LOCKOWNER = 1 << 9;
        /// `ctime` is set. Since 7.23.
        const CTIME = 1 << 10;
        /// suid and sgid are to be cleared. Since 7.33.
        const KILL_SUIDGID = 1 << 11;
    }

    /// Which object `getattr` means: [`GetattrIn::getattr_flags`](crate::GetattrIn::getattr_flags) and
    /// [`StatxIn::getattr_flags`](crate::StatxIn::getattr_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GetattrFlags: u32 {
        /// `fh` is an open file of the caller. Since 7.9.
        const FH = 1 << 0;
    }

    /// What the kernel shall make of an inode: [`Attr::flags`](crate::Attr::flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AttrFlags: u32 {
        /// The inode is the root of a submount. Since 7.32.
        const SUBMOUNT = 1 << 0;
        /// The inode uses DAX. Since 7.36.
        const DAX = 1 << 1;
    }

    /// What the server shall do at an open: [`OpenIn::open_flags`](crate::OpenIn::open_flags) and
    /// [`CreateIn::open_flags`](crate::CreateIn::open_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OpenInFlags: u32 {
        /// suid and sgid are to be cleared, sgid only where the group may execute. Since 7.33.
        const KILL_SUIDGID = 1 << 0;
    }

    /// How a file is let go: [`ReleaseIn::release_flags`](crate::ReleaseIn::release_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ReleaseFlags: u32 {
        /// Flush as well. Since 7.8.
        const FLUSH = 1 << 0;
        /// Drop the `flock` locks of `lock_owner`. Since 7.17.
        const FLOCK_UNLOCK = 1 << 1;
    }

    /// Circumstances of a read: [`ReadIn::read_flags`](crate::ReadIn::read_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ReadFlags: u32 {
        /// `lock_owner` is set. Since 7.9.
        const LOCKOWNER = 1 << 1;
    }

    /// Circumstances of a write: [`WriteIn::write_flags`](crate::WriteIn::write_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct WriteFlags: u32 {
        /// A delayed write from the page cache; the file handle is a guess. Since 7.9.
        const CACHE = 1 << 0;
        /// `lock_owner` is set. Since 7.9.
        const LOCKOWNER = 1 << 1;
        /// suid and sgid are to be cleared. Since 7.31.
        const KILL_SUIDGID = 1 << 2;
    }

    /// What to make durable: [`FsyncIn::fsync_flags`](crate::FsyncIn::fsync_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FsyncFlags: u32 {
        /// Data only, not the metadata. Since 7.1.
        const FDATASYNC = 1 << 0;
    }

    /// What kind of lock is meant: [`LkIn::lk_flags`](crate::LkIn::lk_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct LkFlags: u32 {
        /// A `flock` lock, not a POSIX one. Since 7.9.
        const FLOCK = 1 << 0;
    }

    /// How to set an extended attribute: [`SetxattrIn::setxattr_flags`](crate::SetxattrIn::setxattr_flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SetxattrFlags: u32 {
        /// sgid is to be cleared as `system.posix_acl_access` is set. Since 7.33.
        const ACL_KILL_SGID = 1 << 0;
    }

    /// Circumstances of an ioctl: [`IoctlIn::flags`](crate::IoctlIn::flags) and
    /// [`IoctlOut::flags`](crate::IoctlOut::flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct IoctlFlags: u32 {
        /// The caller is a 32-bit program on a 64-bit machine. Since 7.11.
        const COMPAT = 1 << 0;
        /// The ioctl may have any argument, and may be retried (CUSE). Since 7.11.
        const UNRESTRICTED = 1 << 1;
        /// In a reply: send the ioctl again with these iovecs. Since 7.11.
        const RETRY = 1 << 2;
        /// The caller is a 32-bit program. The kernel's name is `FUSE_IOCTL_32BIT`. Since 7.16.
        const _32BIT = 1 << 3;
        /// The file is a directory. Since 7.18.
        const DIR = 1 << 4;
        /// The caller is an x32 program, with 64 bits of `time_t`. Since 7.30.
        const COMPAT_X32 = 1 << 5;
    }

    /// Circumstances of a poll: [`PollIn::flags`](crate::PollIn::flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PollFlags: u32 {
        /// Send [`NotifyCode::Poll`](crate::NotifyCode::Poll) when events are ready. Since 7.11.
        const SCHEDULE_NOTIFY = 1 << 0;
    }

    /// How a name is invalidated: [`NotifyInvalEntryOut::flags`](crate::NotifyInvalEntryOut::flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ExpireFlags: u32 {
        /// Look the name up again at its next use, but do not drop it. Since 7.38.
        const ONLY = 1 << 0;
    }

    /// What a DAX mapping is for: [`SetupmappingIn::flags`](crate::SetupmappingIn::flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SetupmappingFlags: u64 {
        /// Writing. Since 7.31.
        const WRITE = 1 << 0;
        /// Reading. Since 7.31.
        const READ = 1 << 1;
    }

    /// Features of a character device: [`CuseInitIn::flags`](crate::CuseInitIn::flags) and
    /// [`CuseInitOut::flags`](crate::CuseInitOut::flags).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct CuseInitFlags: u32 {
        /// Ioctls may have any argument. Since 7.12.
        const UNRESTRICTED_IOCTL = 1 << 0;
    }
}

impl WriteFlags {
    /// Obsolete alias of [`WriteFlags::KILL_SUIDGID`].
    pub const KILL_PRIV: Self = Self::KILL_SUIDGID;
}
