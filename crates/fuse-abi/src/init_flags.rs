//! The features that kernel and server agree on.

use bitflags::bitflags;

/// Defines [`InitFlags`] from rows of `NAME = bit, since minor;`.
macro_rules! init_flags {
    ($(#$attr:tt)* pub struct $name:ident { $($(#$flag_attr:tt)* $flag:ident = $bit:literal, since $since:literal;)+ }) => {
        bitflags! {
            $(#$attr)*
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            pub struct $name: u64 {
                $(
                    $(#$flag_attr)*
                    #[doc = concat!("\n\nSince 7.", $since, ".")]
                    const $flag = 1 << $bit;
                )+
            }
        }

        /// The flags and the minor versions that brought them.
        const SINCE: &[($name, u32)] = &[$(($name::$flag, $since)),+];
    };
}

init_flags! {
    /// The features of a connection: the kernel offers them in [`InitIn`](crate::InitIn), the server takes those it
    /// wants in [`InitOut`](crate::InitOut).
    ///
    /// Both structs carry the lower half in `flags` and the upper half in `flags2`: see [`InitFlags::from_parts`] and
    /// [`InitFlags::into_parts`]. The header's changelog does not tell when the flags before 7.10 came, other than
    /// `POSIX_LOCKS`; they are given as 7.10.
    pub struct InitFlags {
        /// Several reads of one file may be under way at once.
        ASYNC_READ = 0, since 10;
        /// The server implements POSIX file locks.
        POSIX_LOCKS = 1, since 7;
        /// The kernel sends a file handle with `getattr` and such. Has no effect.
        FILE_OPS = 2, since 10;
        /// The server truncates at `open` with `O_TRUNC`, without a `setattr` before it.
        ATOMIC_O_TRUNC = 3, since 10;
        /// The server looks up `.` and `..`, so that the filesystem can be exported over NFS.
        EXPORT_SUPPORT = 4, since 10;
        /// Writes may be larger than a page.
        BIG_WRITES = 5, since 10;
        /// The server applies the umask when it makes inodes, not the kernel.
        DONT_MASK = 6, since 12;
        /// The device takes `splice` writes.
        SPLICE_WRITE = 7, since 14;
        /// The device moves pages in `splice`.
        SPLICE_MOVE = 8, since 14;
        /// The device gives `splice` reads.
        SPLICE_READ = 9, since 14;
        /// The server implements `flock` locks.
        FLOCK_LOCKS = 10, since 17;
        /// The kernel sends ioctls on directories.
        HAS_IOCTL_DIR = 11, since 18;
        /// Cached pages are dropped when `mtime` or the size turn out to have changed.
        AUTO_INVAL_DATA = 12, since 20;
        /// The kernel lists directories with `readdirplus`.
        DO_READDIRPLUS = 13, since 21;
        /// The kernel chooses between `readdir` and `readdirplus`.
        READDIRPLUS_AUTO = 14, since 21;
        /// Direct I/O is sent without waiting.
        ASYNC_DIO = 15, since 22;
        /// Buffered writes go to the page cache, and to the server later.
        WRITEBACK_CACHE = 16, since 23;
        /// `ENOSYS` to an `open` means that files need neither `open` nor `release`.
        NO_OPEN_SUPPORT = 17, since 23;
        /// Lookups and listings of one directory may be under way at once.
        PARALLEL_DIROPS = 18, since 25;
        /// The server clears suid, sgid and capabilities at write, chown and truncate.
        HANDLE_KILLPRIV = 19, since 26;
        /// The filesystem has POSIX ACLs.
        POSIX_ACL = 20, since 26;
        /// Reading the device after an abort gives `ECONNABORTED`, not `ENODEV`.
        ABORT_ERROR = 21, since 27;
        /// `max_pages` of the reply bounds the size of a request.
        MAX_PAGES = 22, since 28;
        /// Targets of symbolic links are cached.
        CACHE_SYMLINKS = 23, since 28;
        /// `ENOSYS` to an `opendir` means that directories need neither `opendir` nor `releasedir`.
        NO_OPENDIR_SUPPORT = 24, since 29;
        /// Cached pages are dropped only when the server says so.
        EXPLICIT_INVAL_DATA = 25, since 30;
        /// `map_alignment` of the reply is the base-2 logarithm of the alignment of DAX mappings.
        MAP_ALIGNMENT = 26, since 31;
        /// Directories marked as submounts get a mount of their own.
        SUBMOUNTS = 27, since 32;
        /// The server clears suid, sgid and capabilities as Linux's VFS does: at write and truncate only for a caller
        /// without `CAP_FSETID`, and sgid only where the group may execute.
        HANDLE_KILLPRIV_V2 = 28, since 33;
        /// `setxattr` has flags: its argument is 16 bytes long, not 8.
        SETXATTR_EXT = 29, since 33;
        /// `flags2` counts.
        INIT_EXT = 30, since 36;
        /// Reserved; not to be used.
        INIT_RESERVED = 31, since 36;
        /// `create`, `mkdir`, `mknod`, `symlink` carry the new inode's security context.
        SECURITY_CTX = 32, since 36;
        /// DAX is chosen for each inode.
        HAS_INODE_DAX = 33, since 36;
        /// `create`, `mkdir`, `mknod`, `symlink` carry the caller's supplementary group that is the parent's.
        CREATE_SUPP_GROUP = 34, since 38;
        /// A name can be expired without being dropped.
        HAS_EXPIRE_ONLY = 35, since 38;
        /// Files with `FopenFlags::DIRECT_IO` may be mapped shared.
        DIRECT_IO_ALLOW_MMAP = 36, since 39;
        /// Reads and writes may be passed to a backing file.
        PASSTHROUGH = 37, since 40;
        /// The filesystem cannot be exported over NFS.
        NO_EXPORT_SUPPORT = 38, since 40;
        /// The kernel sends unanswered requests again on demand.
        HAS_RESEND = 39, since 40;
        /// Mounts may map ids.
        ALLOW_IDMAP = 40, since 41;
        /// Requests travel over `io_uring`.
        OVER_IO_URING = 41, since 42;
        /// `request_timeout` of the reply bounds the time of a request.
        REQUEST_TIMEOUT = 42, since 43;
    }
}

impl InitFlags {
    /// Obsolete alias of [`InitFlags::DIRECT_IO_ALLOW_MMAP`].
    pub const DIRECT_IO_RELAX: Self = Self::DIRECT_IO_ALLOW_MMAP;

    /// Joins the two halves of the wire. As in the kernel, `flags2` counts only if `flags` has
    /// [`InitFlags::INIT_EXT`]. Bits without a name are kept: a newer kernel may offer more.
    #[must_use]
    pub const fn from_parts(flags: u32, flags2: u32) -> Self {
        let lower = Self::from_bits_retain(flags as u64);
        if lower.contains(Self::INIT_EXT) {
            Self::from_bits_retain((flags2 as u64) << 32 | flags as u64)
        } else {
            lower
        }
    }

    /// Splits into `flags` and `flags2` of the wire, with [`InitFlags::INIT_EXT`] if the second is not empty.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    pub const fn into_parts(self) -> (u32, u32) {
        let flags2 = self.bits() >> 32;
        let extended = if flags2 == 0 { self } else { self.union(Self::INIT_EXT) };
        (extended.bits() as u32, flags2 as u32)
    }

    /// The minor version of protocol 7 that has all of these flags; 0 if there are none. Bits without a name do not
    /// count.
    #[must_use]
    pub fn since(self) -> u32 {
        SINCE.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, minor)| *minor).max().unwrap_or(0)
    }
}
