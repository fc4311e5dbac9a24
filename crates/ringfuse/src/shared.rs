//! What the channels of a connection share, whichever kernel they talk to.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::mailbox::PostOffice;
use crate::negotiate::Agreement;
use crate::stats::AllCounters;

/// What the channels of a connection share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) agreement: Agreement,
    pub(crate) counters: AllCounters,
    pub(crate) post_office: PostOffice,
    has_reader: AtomicBool,
}

impl Shared {
    pub(crate) fn new(agreement: Agreement) -> Self {
        let (counters, post_office) = (AllCounters::default(), PostOffice::default());
        Self { agreement, counters, post_office, has_reader: AtomicBool::new(false) }
    }

    /// Whether the channel that asks is the first to read /dev/fuse.
    pub(crate) fn is_first_reader(&self) -> bool {
        !self.has_reader.swap(true, Ordering::Relaxed)
    }
}
