//! What the server tells the kernel unasked: the arguments of the [`NotifyCode`](crate::NotifyCode)s.

super::protocol! {
    /// Wakes those who poll. Since 7.11.
    pub struct NotifyPollWakeupOut {
        /// [`PollIn::kh`](crate::PollIn::kh) of the poll.
        pub kh: u64,
    }

    /// Drops an inode's cached attributes and a range of its data. Since 7.12.
    pub struct NotifyInvalInodeOut {
        /// The inode.
        pub ino: u64,
        /// Where the range begins; negative to drop no data.
        pub off: i64,
        /// Bytes of the range; 0 or less for all of the rest.
        pub len: i64,
    }

    /// Drops a name from the cache; the name and a zero byte follow. Since 7.12.
    pub struct NotifyInvalEntryOut {
        /// The directory.
        pub parent: u64,
        /// Bytes of the name without the zero byte.
        pub namelen: u32,
        /// [`ExpireFlags`](crate::ExpireFlags). Since 7.38.
        pub flags: u32,
    }

    /// Drops a name that is known to be removed; the name and a zero byte follow. Since 7.18.
    pub struct NotifyDeleteOut {
        /// The directory.
        pub parent: u64,
        /// The inode that the name led to.
        pub child: u64,
        /// Bytes of the name without the zero byte.
        pub namelen: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Puts data into the page cache; the data follow. Since 7.15.
    pub struct NotifyStoreOut {
        /// The inode.
        pub nodeid: u64,
        /// Where the data begin in the file.
        pub offset: u64,
        /// Bytes of data.
        pub size: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Asks for data of the page cache. Since 7.15.
    pub struct NotifyRetrieveOut {
        /// Names the answer: its [`InHeader::unique`](crate::InHeader::unique).
        pub notify_unique: u64,
        /// The inode.
        pub nodeid: u64,
        /// Where the range begins.
        pub offset: u64,
        /// Bytes of the range.
        pub size: u32,
        /// Padding.
        pub padding: u32,
    }

    /// Argument of `notify_reply`; the data follow. As long as [`WriteIn`](crate::WriteIn). Since 7.15.
    ///
    /// On the ring it is the start of the payload, not in [`UringReqHeader::op_in`](crate::UringReqHeader::op_in).
    pub struct NotifyRetrieveIn {
        /// Padding.
        pub dummy1: u64,
        /// Where the data begin in the file.
        pub offset: u64,
        /// Bytes of data.
        pub size: u32,
        /// Padding.
        pub dummy2: u32,
        /// Padding.
        pub dummy3: u64,
        /// Padding.
        pub dummy4: u64,
    }

    /// Forgets inodes that nobody uses; their ids, a `u64` each, follow. Since 7.45.
    pub struct NotifyPruneOut {
        /// How many ids follow.
        pub count: u32,
        /// Padding.
        pub padding: u32,
        /// Zero.
        pub spare: u64,
    }
}
