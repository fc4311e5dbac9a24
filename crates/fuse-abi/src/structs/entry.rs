//! Names, and the inodes that they lead to.

use super::attr::Attr;

super::protocol! {
    /// Reply to `lookup` and to all that makes an inode. Counts one lookup of it.
    pub struct EntryOut {
        /// The inode; 0 in a reply to `lookup` caches that the name does not exist.
        pub nodeid: u64,
        /// Together with `nodeid` unique for the life of the filesystem.
        pub generation: u64,
        /// Seconds for which the name may be cached.
        pub entry_valid: u64,
        /// Seconds for which the attributes may be cached.
        pub attr_valid: u64,
        /// Nanoseconds of `entry_valid`.
        pub entry_valid_nsec: u32,
        /// Nanoseconds of `attr_valid`.
        pub attr_valid_nsec: u32,
        /// The attributes.
        pub attr: Attr,
    }

    /// Argument of `forget`.
    pub struct ForgetIn {
        /// How many lookups are taken back.
        pub nlookup: u64,
    }

    /// One inode of `batch_forget`. Since 7.16.
    pub struct ForgetOne {
        /// The inode.
        pub nodeid: u64,
        /// How many lookups are taken back.
        pub nlookup: u64,
    }

    /// Argument of `batch_forget`. Since 7.16.
    pub struct BatchForgetIn {
        /// How many [`ForgetOne`] follow.
        pub count: u32,
        /// Padding.
        pub dummy: u32,
    }

    /// Argument of `mknod`; the name follows.
    pub struct MknodIn {
        /// Type and permissions.
        pub mode: u32,
        /// Device number, in the kernel's 32-bit form.
        pub rdev: u32,
        /// The caller's umask. Since 7.12.
        pub umask: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `mkdir`; the name follows.
    pub struct MkdirIn {
        /// Permissions.
        pub mode: u32,
        /// The caller's umask. Since 7.12.
        pub umask: u32,
    }

    /// Argument of `rename`; the old and the new name follow.
    pub struct RenameIn {
        /// The directory of the new name.
        pub newdir: u64,
    }

    /// Argument of `rename2`; the old and the new name follow. Since 7.23.
    pub struct Rename2In {
        /// The directory of the new name.
        pub newdir: u64,
        /// `RENAME_*` of `renameat2(2)`.
        pub flags: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `link`; the new name follows.
    pub struct LinkIn {
        /// The inode that gets the name.
        pub oldnodeid: u64,
    }

    /// Argument of `create` and `tmpfile`; the name follows. Since 7.3.
    pub struct CreateIn {
        /// `O_*` of the caller.
        pub flags: u32,
        /// Type and permissions.
        pub mode: u32,
        /// The caller's umask. Since 7.12.
        pub umask: u32,
        /// [`OpenInFlags`](crate::OpenInFlags). Since 7.33.
        pub open_flags: u32,
    }
}
