//! File locks, and the interruption of what waits.

super::protocol! {
    /// A lock. Since 7.7.
    pub struct FileLock {
        /// The first byte.
        pub start: u64,
        /// The last byte; `i64::MAX` for the end of the file.
        pub end: u64,
        /// `F_RDLCK`, `F_WRLCK` or `F_UNLCK`.
        pub r#type: u32,
        /// The process that holds the lock.
        pub pid: u32,
    }

    /// Argument of `getlk`, `setlk` and `setlkw`. Since 7.7.
    pub struct LkIn {
        /// The open file.
        pub fh: u64,
        /// Who locks.
        pub owner: u64,
        /// The lock.
        pub lk: FileLock,
        /// [`LkFlags`](crate::LkFlags). Since 7.9.
        pub lk_flags: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Reply to `getlk`. Since 7.7.
    pub struct LkOut {
        /// The lock that is in the way, or one of type `F_UNLCK`.
        pub lk: FileLock,
    }

    /// Argument of `interrupt`. Since 7.7.
    pub struct InterruptIn {
        /// The request that is interrupted.
        pub unique: u64,
    }
}
