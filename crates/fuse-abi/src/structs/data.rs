//! The bytes of a file.

super::protocol! {
    /// Argument of `read`, `readdir` and `readdirplus`.
    pub struct ReadIn {
        /// The open file.
        pub fh: u64,
        /// Where to begin: a byte, or the [`off`](crate::Dirent::off) of a directory entry.
        pub offset: u64,
        /// Greatest length of the reply in bytes.
        pub size: u32,
        /// [`ReadFlags`](crate::ReadFlags). Since 7.9.
        pub read_flags: u32,
        /// Owner of the caller's POSIX locks. Since 7.9.
        pub lock_owner: u64,
        /// `O_*` of the open file. Since 7.9.
        pub flags: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `write`; the data follow.
    pub struct WriteIn {
        /// The open file.
        pub fh: u64,
        /// Where to begin.
        pub offset: u64,
        /// Bytes of data.
        pub size: u32,
        /// [`WriteFlags`](crate::WriteFlags).
        pub write_flags: u32,
        /// Owner of the caller's POSIX locks. Since 7.9.
        pub lock_owner: u64,
        /// `O_*` of the open file. Since 7.9.
        pub flags: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Reply to `write` and `copy_file_range`.
    pub struct WriteOut {
        /// Bytes written.
        pub size: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `fallocate`. Since 7.19.
    pub struct FallocateIn {
        /// The open file.
        pub fh: u64,
        /// Where the range begins.
        pub offset: u64,
        /// Bytes of the range.
        pub length: u64,
        /// `FALLOC_FL_*`.
        pub mode: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `lseek`. Since 7.24.
    pub struct LseekIn {
        /// The open file.
        pub fh: u64,
        /// Where to begin.
        pub offset: u64,
        /// `SEEK_DATA` or `SEEK_HOLE`.
        pub whence: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Reply to `lseek`. Since 7.24.
    pub struct LseekOut {
        /// What was found.
        pub offset: u64,
    }

    /// Argument of `copy_file_range` and `copy_file_range_64`. Since 7.28.
    pub struct CopyFileRangeIn {
        /// The open file to copy from.
        pub fh_in: u64,
        /// Where to copy from.
        pub off_in: u64,
        /// The inode to copy to.
        pub nodeid_out: u64,
        /// The open file to copy to.
        pub fh_out: u64,
        /// Where to copy to.
        pub off_out: u64,
        /// Bytes to copy.
        pub len: u64,
        /// Flags of `copy_file_range(2)`.
        pub flags: u64,
    }

    /// Reply to `copy_file_range_64`. Since 7.45.
    pub struct CopyFileRangeOut {
        /// Bytes copied.
        pub bytes_copied: u64,
    }

    /// Argument of `bmap`. Since 7.8.
    pub struct BmapIn {
        /// The block of the file.
        pub block: u64,
        /// Size of a block in bytes.
        pub blocksize: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Reply to `bmap`. Since 7.8.
    pub struct BmapOut {
        /// The block of the device.
        pub block: u64,
    }

    /// Argument of `setupmapping`. Since 7.31.
    pub struct SetupmappingIn {
        /// The open file.
        pub fh: u64,
        /// Where the range of the file begins.
        pub foffset: u64,
        /// Bytes of the range.
        pub len: u64,
        /// [`SetupmappingFlags`](crate::SetupmappingFlags).
        pub flags: u64,
        /// Where the mapping begins in the DAX window.
        pub moffset: u64,
    }

    /// Argument of `removemapping`. Since 7.31.
    pub struct RemovemappingIn {
        /// How many [`RemovemappingOne`] follow.
        pub count: u32,
    }

    /// One mapping of `removemapping`. Since 7.31.
    pub struct RemovemappingOne {
        /// Where the mapping begins in the DAX window.
        pub moffset: u64,
        /// Its length in bytes.
        pub len: u64,
    }
}
