//! Counters of a mount. Each channel counts for itself, so that serving threads share no cache line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Live counters. Each is counted on its own, in relaxed order.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Counters {
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
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl std::ops::Add for Stats {
            type Output = Self;

            /// The sum of each counter. One that goes down may have gone up elsewhere: it wraps on the way.
            fn add(self, other: Self) -> Self {
                Self { $($name: self.$name.wrapping_add(other.$name),)* }
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

/// The counters of a connection: its own, and those of its channels, also of channels that are gone.
#[derive(Debug, Default)]
pub(crate) struct AllCounters {
    pub(crate) own: Counters,
    channels: Mutex<Vec<Arc<Counters>>>,
}

impl AllCounters {
    /// Counters for a channel.
    pub(crate) fn for_channel(&self) -> Arc<Counters> {
        let counters = Arc::<Counters>::default();
        self.channels().push(Arc::clone(&counters));
        counters
    }

    /// Reads all counters.
    pub(crate) fn read(&self) -> Stats {
        self.channels().iter().fold(self.own.read(), |sum, channel| sum + channel.read())
    }

    fn channels(&self) -> MutexGuard<'_, Vec<Arc<Counters>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
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
