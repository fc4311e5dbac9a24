//! What the server may tell the kernel unasked.

use crate::codes::codes;

codes! {
    /// What a message that the server sends unasked is about.
    ///
    /// Such a message is written to `/dev/fuse` with [`OutHeader::unique`](crate::OutHeader::unique) 0 and this code
    /// in place of the error.
    pub enum NotifyCode {
        /// Events are ready for those who poll: [`NotifyPollWakeupOut`](crate::NotifyPollWakeupOut).
        Poll = 1, "poll", since 11;
        /// Drop an inode's cached attributes and data: [`NotifyInvalInodeOut`](crate::NotifyInvalInodeOut).
        InvalInode = 2, "inval_inode", since 12;
        /// Drop a name from the cache: [`NotifyInvalEntryOut`](crate::NotifyInvalEntryOut).
        InvalEntry = 3, "inval_entry", since 12;
        /// Put data into the page cache: [`NotifyStoreOut`](crate::NotifyStoreOut).
        Store = 4, "store", since 15;
        /// Ask for data of the page cache: [`NotifyRetrieveOut`](crate::NotifyRetrieveOut).
        Retrieve = 5, "retrieve", since 15;
        /// Drop a name that is known to be removed: [`NotifyDeleteOut`](crate::NotifyDeleteOut).
        Delete = 6, "delete", since 18;
        /// Send every unanswered request again, marked with [`UNIQUE_RESEND`](crate::UNIQUE_RESEND). No argument.
        Resend = 7, "resend", since 40;
        /// Make every cached name invalid at once. No argument.
        IncEpoch = 8, "inc_epoch", since 44;
        /// Forget inodes that nobody uses: [`NotifyPruneOut`](crate::NotifyPruneOut).
        Prune = 9, "prune", since 45;
    }
}
