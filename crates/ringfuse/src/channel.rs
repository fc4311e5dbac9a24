//! A serving thread's channel to the kernel: the queues that it owns, their slots, and /dev/fuse.
//!
//! A request's way, a module a step: the kernel fills a slot and completes its entry ([`ring_side`]), or the slot is
//! read from /dev/fuse ([`device_side`]); the slot is parsed in place and listed as ready ([`arrival`]); its holder
//! answers with [`Channel::commit`], and the reply goes where the request came from ([`answer`]): to the ring as
//! COMMIT_AND_FETCH, with all others of a turn in one `io_uring_enter`.
//!
//! Beside the way: which transport it is ([`set_up`]), how many slots a queue has ([`queue`]), which requests callers
//! give up ([`interrupts`]), and what becomes of a channel whose thread died ([`rescue`]).

mod answer;
mod arrival;
mod device_side;
mod interrupts;
mod queue;
mod rescue;
mod ring_side;
mod set_up;
#[cfg(test)]
mod tests;

mod stalled;

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{Pid, gettid};

use crate::channel::device_side::BothDescriptors;
use crate::channel::queue::{GROWTH, MOST_BLOCKING, Owner, Queue};
use crate::error::{Error, Result};
use crate::kernel::{DeviceSide, Kernel, Linux, RingSide};
use crate::mailbox::Mailbox;
use crate::ring::{Waiting, Watched};
use crate::shared::Shared;
use crate::slot::{SlotIndex, Slots};
use crate::stats::{Counters, add};

pub use answer::{Answer, NotHeld};
pub(crate) use set_up::SetUp;
pub use set_up::{Depth, Transport};

pub use stalled::HeldRequest;

/// How [`Channel::turn`] waits when nothing is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Looks again and again for so long, giving the CPU up between looks.
    Poll(Duration),
    /// Sleeps until something happens.
    Block,
}

/// A slot's state, kept out of the memory that others can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The kernel does not have it: it was not registered yet, or given back (ring), or waits to be read into
    /// (/dev/fuse).
    Free,
    /// The kernel may fill it (ring).
    Registered,
    /// A request is in it; its holder owes a commit. `blocking`: it may wait for another request.
    Held { unique: u64, no_reply: bool, blocking: bool },
    /// The reply is on its way to the kernel, in the batch with this number (ring). When it is there, the kernel may
    /// fill the slot again.
    Committed { unique: u64, batch: u32 },
    /// The kernel refused it, and is not asked again.
    Refused,
}

/// Whose a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// Nobody's yet.
    New,
    /// The thread's that called [`Channel::start`].
    Started(Pid),
    /// Nobody's any more, as that thread ended: see [`Channel::rescue`].
    Rescued,
}

/// The queues, slots and descriptors of one serving thread.
#[derive(Debug)]
pub struct Channel<K: Kernel = Linux> {
    // Dropped first: the ring lets go of the slots' memory before it is unmapped.
    ring: Option<K::Ring>,
    device: Arc<K::Device>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    mailbox: Arc<Mailbox>,
    /// For an event loop, where there is neither a ring nor a single descriptor to watch.
    both: Option<BothDescriptors>,
    /// What the ring signals by, with [`Waiting::Eventfd`].
    signal: Option<Arc<EventFd>>,
    waiting: Waiting,
    life: Life,
    /// How often all that was pushed to the ring was submitted, modulo 2³².
    batch: u32,
    queues: Vec<Queue>,
    device_queue: Queue,
    /// Slots that a queue may have for requests that wait for no other.
    depth: usize,
    /// Indexes of queues that run out of slots.
    exhausted: Vec<usize>,
    slots: Slots,
    owners: Vec<Owner>,
    states: Vec<State>,
    ready: Vec<SlotIndex>,
    /// How many of them the last turn made known.
    known: usize,
    /// Requests that callers want to give up, still to be found: of interrupts that this channel read, and of those
    /// that others read.
    interrupts: Vec<u64>,
    letters: Vec<u64>,
    /// Slots with the ids of their requests that callers want to give up, since this was last asked.
    interrupted: Vec<(SlotIndex, u64)>,
    device_idle: Vec<SlotIndex>,
    reads_device: bool,
    device_readable: bool,
    refusal: Option<Errno>,
    ended: bool,
}

impl<K: Kernel> Channel<K> {
    /// Sets up a channel, see [`crate::Handshake::channel`]. Without queues it needs no io_uring.
    ///
    /// Everything that can fail happens here, so that FUSE_INIT can still be answered without the ring.
    pub(crate) fn new(
        shared: Arc<Shared>,
        device: &Arc<K::Device>,
        queues: Vec<u16>,
        depth: usize,
        waiting: Waiting,
        reads_device: bool,
    ) -> Result<Self> {
        let owners = queues.len() + usize::from(reads_device);
        let capacity = owners * (depth + MOST_BLOCKING);
        let mut channel = Self {
            ring: None,
            device: Arc::clone(device),
            mailbox: shared.post_office.open()?,
            counters: shared.counters.for_channel(),
            both: None,
            signal: None,
            waiting,
            life: Life::New,
            batch: 0,
            queues: queues.into_iter().map(Queue::new).collect(),
            device_queue: Queue::new(0),
            depth,
            exhausted: Vec::new(),
            slots: Slots::new(capacity, shared.agreement.payload_size())?,
            // A turn grows none of these.
            owners: Vec::with_capacity(capacity),
            states: Vec::with_capacity(capacity),
            ready: Vec::with_capacity(capacity),
            known: 0,
            interrupts: Vec::new(),
            letters: Vec::new(),
            interrupted: Vec::new(),
            device_idle: Vec::new(),
            reads_device,
            device_readable: reads_device,
            refusal: None,
            ended: false,
            shared,
        };
        if !channel.queues.is_empty() {
            channel.signal = channel.new_signal()?;
            channel.ring = Some(channel.new_ring()?);
        }
        if reads_device && !channel.shared.is_first_reader() {
            // Where /dev/fuse cannot be opened again, readers share one descriptor.
            channel.device = device.another().map_or_else(|_| Arc::clone(device), Arc::new);
        }
        if reads_device {
            channel.device_idle.reserve(depth + MOST_BLOCKING);
            channel.add_device_slots(depth.min(GROWTH))?;
        }
        for queue in 0..channel.queues.len() {
            channel.add_slots(Owner::Queue(queue), depth.min(GROWTH))?;
        }
        Ok(channel)
    }

    fn new_ring(&self) -> Result<K::Ring> {
        let watched = 2;
        let usual = self.queues.len() * self.depth + watched;
        let ring = K::Ring::new(self.slots.capacity(), usual, self.waiting, &self.device)?;
        if let Some(signal) = &self.signal {
            ring.signal(signal.as_fd())?;
        }
        Ok(ring)
    }

    fn new_signal(&self) -> Result<Option<Arc<EventFd>>> {
        if self.waiting != Waiting::Eventfd {
            return Ok(None);
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let signal = EventFd::from_flags(flags).map_err(|errno| Error::Mailbox { errno })?;
        Ok(Some(Arc::new(signal)))
    }

    /// During a turn nobody waits for a signal.
    fn set_quiet(&mut self, quiet: bool) {
        if let (Some(_), Some(ring)) = (&self.signal, &mut self.ring) {
            ring.set_quiet(quiet);
        }
    }

    /// Makes the calling thread the channel's owner and gives the kernel the slots. To be called once, after
    /// FUSE_INIT was answered; and once after each [`Channel::rescue`].
    ///
    /// # Errors
    /// [`crate::Error::IoUring`], [`crate::Error::Mailbox`].
    pub fn start(&mut self) -> Result<()> {
        let life = std::mem::replace(&mut self.life, Life::Started(gettid()));
        if self.ring.is_none() {
            return self.start_device();
        }
        self.start_ring()?;
        if life == Life::Rescued { self.kick_queues() } else { Ok(()) }
    }

    /// The descriptor that becomes readable when [`Channel::turn`] has something to do, once it was started.
    #[must_use]
    pub fn poll_fd(&self) -> RawFd {
        match (&self.ring, &self.both) {
            (Some(ring), _) => {
                self.signal.as_ref().map_or(ring.as_raw_fd(), |signal| signal.as_fd().as_raw_fd())
            }
            (None, Some(both)) => both.as_fd().as_raw_fd(),
            (None, None) => self.device.as_fd().as_raw_fd(),
        }
    }

    /// What an event loop is to call when it finds [`Channel::poll_fd`] readable, before the turn: a signal stays until
    /// it is taken.
    pub fn take_signal(&self) -> impl Fn() + use<K> {
        let signal = self.signal.clone();
        move || {
            if let Some(signal) = &signal {
                // EAGAIN: there is none.
                let _ = signal.read();
            }
        }
    }

    /// The slots.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Why the kernel refused the ring's entries, if it did: the mount is then served from /dev/fuse.
    #[must_use]
    pub fn refusal(&self) -> Option<Errno> {
        self.refusal
    }

    /// Whether the connection ended: nothing will be ready any more, and commits go nowhere.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Whether a turn could take a request now. A channel without a ring cannot while all its slots are held; its
    /// descriptor is readable all the same, unless it stands for several.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        self.ring.is_some() || self.both.is_some() || self.can_read_device()
    }

    /// Gives all commits to the kernel and takes the requests that are ready.
    ///
    /// # Errors
    /// [`crate::Error::IoUring`] or [`crate::Error::Device`]: the channel is of no use any more.
    pub fn turn(&mut self, wait: Wait) -> Result<&[SlotIndex]> {
        self.ready.drain(..self.known);
        if self.ring.is_some() {
            self.set_quiet(true);
            self.turn_ring(wait)?;
            self.set_quiet(false);
            // What came before that was not signalled.
            while self.signal.is_some() && self.look()? {
                self.turn_ring(Wait::Poll(Duration::ZERO))?;
            }
        } else {
            self.turn_device(wait)?;
        }
        if !self.ready.is_empty() {
            add(&self.counters.batches, 1);
        }
        self.known = self.ready.len();
        Ok(&self.ready)
    }

    /// The queue that all requests came by which the last turn made ready; nothing if they came by several, or by
    /// none.
    #[must_use]
    pub fn only_queue(&self) -> Option<u16> {
        let mut owners = self.ready.iter().map(|slot| self.owners[*slot as usize]);
        let Some(Owner::Queue(first)) = owners.next() else { return None };
        owners.all(|owner| owner == Owner::Queue(first)).then(|| self.queues[first].id)
    }

    /// Whether a turn would return without news.
    fn has_nothing_to_tell(&self) -> bool {
        self.ready.is_empty() && self.interrupted.is_empty() && !self.ended
    }

    fn add_slots(&mut self, owner: Owner, count: usize) -> Result<Range<SlotIndex>> {
        let added = self.slots.add(count, owner == Owner::Device)?;
        let (count, size) = (added.len() as u64, self.slots.payload_size() as u64);
        add(&self.counters.slots, count);
        add(&self.counters.slot_bytes, count * size);
        self.states.resize(added.end as usize, State::Free);
        self.owners.resize(added.end as usize, owner);
        Ok(added)
    }

    fn add_device_slots(&mut self, count: usize) -> Result<()> {
        let added = self.add_slots(Owner::Device, count)?;
        self.device_queue.entries += added.len();
        self.device_idle.extend(added);
        Ok(())
    }

    fn watch(&mut self, watched: Watched) {
        let fd = match watched {
            Watched::Device => self.device.as_fd(),
            Watched::Mailbox => self.mailbox.as_fd(),
        };
        if let Some(ring) = &mut self.ring {
            ring.watch(watched, fd);
        }
    }

    fn end(&mut self) {
        self.device_readable = false;
        self.ended = true;
        self.shared.post_office.end();
    }
}
