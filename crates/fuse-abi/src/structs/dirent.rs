//! Directory listings.

use super::entry::EntryOut;

super::protocol! {
    /// An entry in the reply to `readdir`; the name and padding to 8 bytes follow: [`dirent_size`].
    pub struct Dirent {
        /// Inode number that `getdents(2)` shows.
        pub ino: u64,
        /// Where the listing goes on after this entry.
        pub off: u64,
        /// Bytes of the name.
        pub namelen: u32,
        /// Type of the inode: `DT_*`.
        pub r#type: u32,
    }

    /// An entry in the reply to `readdirplus`; the name and padding to 8 bytes follow: [`direntplus_size`].
    ///
    /// Since 7.21.
    pub struct Direntplus {
        /// What a `lookup` of the name would reply. Its `nodeid` 0 says nothing about the inode and counts no lookup.
        pub entry_out: EntryOut,
        /// The entry.
        pub dirent: Dirent,
    }
}

/// Rounds the length of a record up to a multiple of 8, as the kernel's `FUSE_REC_ALIGN` does.
#[must_use]
pub const fn rec_align(len: usize) -> usize {
    len.next_multiple_of(size_of::<u64>())
}

/// Bytes that a [`Dirent`] with a name of `name_len` bytes takes in a listing.
#[must_use]
pub const fn dirent_size(name_len: usize) -> usize {
    rec_align(size_of::<Dirent>() + name_len)
}

/// Bytes that a [`Direntplus`] with a name of `name_len` bytes takes in a listing.
#[must_use]
pub const fn direntplus_size(name_len: usize) -> usize {
    rec_align(size_of::<Direntplus>() + name_len)
}
