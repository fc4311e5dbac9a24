//! The life of an open file or directory.

super::protocol! {
    /// Argument of `open` and `opendir`.
    pub struct OpenIn {
        /// `O_*` of the caller.
        pub flags: u32,
        /// [`OpenInFlags`](crate::OpenInFlags). Since 7.33.
        pub open_flags: u32,
    }

    /// Reply to `open` and `opendir`; second part of the reply to `create` and `tmpfile`.
    pub struct OpenOut {
        /// The server's name for the open file.
        pub fh: u64,
        /// [`FopenFlags`](crate::FopenFlags).
        pub open_flags: u32,
        /// The backing file, with [`FopenFlags::PASSTHROUGH`](crate::FopenFlags::PASSTHROUGH). Since 7.40.
        pub backing_id: i32,
    }

    /// Argument of `release` and `releasedir`.
    pub struct ReleaseIn {
        /// The open file.
        pub fh: u64,
        /// `O_*` of the open file.
        pub flags: u32,
        /// [`ReleaseFlags`](crate::ReleaseFlags). Since 7.8.
        pub release_flags: u32,
        /// Owner of the locks that end. Since 7.8.
        pub lock_owner: u64,
    }

    /// Argument of `flush`.
    pub struct FlushIn {
        /// The open file.
        pub fh: u64,
        /// Zero.
        pub unused: u32,
        /// Padding.
        pub padding: u32,
        /// Owner of the POSIX locks that end.
        pub lock_owner: u64,
    }

    /// Argument of `fsync` and `fsyncdir`.
    pub struct FsyncIn {
        /// The open file.
        pub fh: u64,
        /// [`FsyncFlags`](crate::FsyncFlags).
        pub fsync_flags: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `syncfs`. Since 7.34.
    pub struct SyncfsIn {
        /// Zero.
        pub padding: u64,
    }

    /// A file to register for passthrough: [`DEV_IOC_BACKING_OPEN`](crate::DEV_IOC_BACKING_OPEN). Since 7.40.
    pub struct BackingMap {
        /// A descriptor of the file.
        pub fd: i32,
        /// Zero: no flag is defined.
        pub flags: u32,
        /// Zero.
        pub padding: u64,
    }
}
