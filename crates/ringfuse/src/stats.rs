//! Counters of a mount, shared by its channels.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// The live counters of a mount. Each is counted on its own, in relaxed order.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub(crate) $name: AtomicU64,)*
        }

        /// What the counters of a mount said at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Reads all counters.
            #[must_use]
            pub fn read(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Stats {
            /// Name and value of each counter.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Requests that came by the ring.
    ring_requests,
    /// Requests that came by /dev/fuse, FORGET and INTERRUPT included, INIT not.
    device_requests,
    /// Replies that the kernel took.
    replies,
    /// Replies that the kernel refused: the request was gone, or the connection.
    refused_replies,
    /// Nodes that the kernel forgot, by FORGET and BATCH_FORGET requests.
    forget_requests,
    /// INTERRUPT requests.
    interrupts,
    /// Requests that were malformed and answered EIO.
    malformed,
    /// `io_uring_enter` calls.
    enters,
    /// Batches of one or more requests taken from the kernel at once.
    batches,
    /// Requests that were taken and not answered yet: this one goes down, too.
    outstanding,
    /// Requests that their holders did not answer in the time that they had.
    timeouts,
    /// Stalls of serving threads: see [`crate::stall`].
    stalls,
    /// Slots that were made: places of requests.
    slots,
    /// Bytes of their payloads. Memory is only paid for what was touched of them.
    slot_bytes,
}

impl Counters {
    /// Counts a request that its holder did not answer in time: holders keep the time themselves.
    pub fn count_timeout(&self) {
        add(&self.timeouts, 1);
    }
}

/// Takes from a counter what was added to it before.
pub(crate) fn subtract(counter: &AtomicU64, amount: u64) {
    counter.fetch_sub(amount, Ordering::Relaxed);
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
