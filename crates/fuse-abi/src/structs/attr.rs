//! Attributes of inodes and of the filesystem.

super::protocol! {
    /// Attributes of an inode. Times are seconds since 1970, those before it in two's complement.
    pub struct Attr {
        /// Inode number that `stat(2)` shows.
        pub ino: u64,
        /// Size in bytes.
        pub size: u64,
        /// Size on disk in units of 512 bytes.
        pub blocks: u64,
        /// Time of the last access.
        pub atime: u64,
        /// Time of the last change of the data.
        pub mtime: u64,
        /// Time of the last change of the inode.
        pub ctime: u64,
        /// Nanoseconds of `atime`.
        pub atimensec: u32,
        /// Nanoseconds of `mtime`.
        pub mtimensec: u32,
        /// Nanoseconds of `ctime`.
        pub ctimensec: u32,
        /// Type and permissions, as in `st_mode`.
        pub mode: u32,
        /// Number of names.
        pub nlink: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// Device number of a device node, in the kernel's 32-bit form.
        pub rdev: u32,
        /// Preferred size of I/O. Since 7.9.
        pub blksize: u32,
        /// [`AttrFlags`](crate::AttrFlags). Since 7.32.
        pub flags: u32,
    }

    /// Argument of `getattr`. Since 7.9.
    pub struct GetattrIn {
        /// [`GetattrFlags`](crate::GetattrFlags).
        pub getattr_flags: u32,
        /// Padding.
        pub dummy: u32,
        /// The open file, with [`GetattrFlags::FH`](crate::GetattrFlags::FH).
        pub fh: u64,
    }

    /// Reply to `getattr` and `setattr`.
    pub struct AttrOut {
        /// Seconds for which the attributes may be cached.
        pub attr_valid: u64,
        /// Nanoseconds of `attr_valid`.
        pub attr_valid_nsec: u32,
        /// Padding.
        pub dummy: u32,
        /// The attributes.
        pub attr: Attr,
    }

    /// Argument of `setattr`.
    pub struct SetattrIn {
        /// Which fields are set: [`FattrFlags`](crate::FattrFlags).
        pub valid: u32,
        /// Padding.
        pub padding: u32,
        /// The open file, with [`FattrFlags::FH`](crate::FattrFlags::FH). Since 7.3.
        pub fh: u64,
        /// Size in bytes.
        pub size: u64,
        /// Owner of the caller's POSIX locks. Since 7.9.
        pub lock_owner: u64,
        /// Time of the last access.
        pub atime: u64,
        /// Time of the last change of the data.
        pub mtime: u64,
        /// Time of the last change of the inode. Since 7.23.
        pub ctime: u64,
        /// Nanoseconds of `atime`.
        pub atimensec: u32,
        /// Nanoseconds of `mtime`.
        pub mtimensec: u32,
        /// Nanoseconds of `ctime`. Since 7.23.
        pub ctimensec: u32,
        /// Type and permissions.
        pub mode: u32,
        /// Padding.
        pub unused4: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// Padding.
        pub unused5: u32,
    }

    /// A time of [`Statx`]. Since 7.39.
    pub struct SxTime {
        /// Seconds since 1970.
        pub tv_sec: i64,
        /// Nanoseconds.
        pub tv_nsec: u32,
        /// Zero.
        #[expect(clippy::pub_underscore_fields, reason = "the kernel's name")]
        pub __reserved: i32,
    }

    /// Attributes of an inode, bit for bit `struct statx` of `statx(2)`. Since 7.39.
    pub struct Statx {
        /// Which fields are set: `STATX_*`.
        pub mask: u32,
        /// Preferred size of I/O.
        pub blksize: u32,
        /// `STATX_ATTR_*` of the inode.
        pub attributes: u64,
        /// Number of names.
        pub nlink: u32,
        /// Owner.
        pub uid: u32,
        /// Group.
        pub gid: u32,
        /// Type and permissions.
        pub mode: u16,
        /// Zero.
        #[expect(clippy::pub_underscore_fields, reason = "the kernel's name")]
        pub __spare0: [u16; 1],
        /// Inode number.
        pub ino: u64,
        /// Size in bytes.
        pub size: u64,
        /// Size on disk in units of 512 bytes.
        pub blocks: u64,
        /// Which of `attributes` the filesystem knows.
        pub attributes_mask: u64,
        /// Time of the last access.
        pub atime: SxTime,
        /// Time of creation.
        pub btime: SxTime,
        /// Time of the last change of the inode.
        pub ctime: SxTime,
        /// Time of the last change of the data.
        pub mtime: SxTime,
        /// Major number of a device node.
        pub rdev_major: u32,
        /// Minor number of a device node.
        pub rdev_minor: u32,
        /// Major number of the filesystem's device.
        pub dev_major: u32,
        /// Minor number of the filesystem's device.
        pub dev_minor: u32,
        /// Zeros.
        #[expect(clippy::pub_underscore_fields, reason = "the kernel's name")]
        pub __spare2: [u64; 14],
    }

    /// Argument of `statx`. Since 7.39.
    pub struct StatxIn {
        /// [`GetattrFlags`](crate::GetattrFlags).
        pub getattr_flags: u32,
        /// Padding.
        pub reserved: u32,
        /// The open file, with [`GetattrFlags::FH`](crate::GetattrFlags::FH).
        pub fh: u64,
        /// `AT_STATX_*` of the caller.
        pub sx_flags: u32,
        /// Which fields the caller wants: `STATX_*`.
        pub sx_mask: u32,
    }

    /// Reply to `statx`. Since 7.39.
    pub struct StatxOut {
        /// Seconds for which the attributes may be cached.
        pub attr_valid: u64,
        /// Nanoseconds of `attr_valid`.
        pub attr_valid_nsec: u32,
        /// Zero: no flag is defined.
        pub flags: u32,
        /// Zeros.
        pub spare: [u64; 2],
        /// The attributes.
        pub stat: Statx,
    }

    /// Argument of `access`. Since 7.3.
    pub struct AccessIn {
        /// `R_OK`, `W_OK`, `X_OK`, or `F_OK`.
        pub mask: u32,
        /// Padding.
        pub padding: u32,
    }

    /// The state of the filesystem, as in `statvfs(3)`.
    pub struct Kstatfs {
        /// Size in units of `frsize`.
        pub blocks: u64,
        /// Free blocks.
        pub bfree: u64,
        /// Free blocks for an unprivileged user.
        pub bavail: u64,
        /// Number of inodes.
        pub files: u64,
        /// Free inodes.
        pub ffree: u64,
        /// Preferred size of I/O.
        pub bsize: u32,
        /// Greatest length of a name.
        pub namelen: u32,
        /// Size of a block. Since 7.4.
        pub frsize: u32,
        /// Padding.
        pub padding: u32,
        /// Zeros.
        pub spare: [u32; 6],
    }

    /// Reply to `statfs`.
    pub struct StatfsOut {
        /// The state of the filesystem.
        pub st: Kstatfs,
    }
}
