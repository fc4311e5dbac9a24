//! A serving thread's channel to the kernel: the queues that it owns, their slots, and /dev/fuse.
//!
//! A request's way: the kernel fills a slot and completes its entry; [`Channel::turn`] takes the completion,
//! parses the slot in place and lists it as ready; its holder answers with [`Channel::commit`], which pushes
//! COMMIT_AND_FETCH; the next turn hands all commits to the kernel with one `io_uring_enter`.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuse_abi::{BatchForgetIn, InterruptIn, Opcode, OutHeader, UNIQUE_RESEND};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::connection::Connection;
use crate::device::Arrival;
use crate::error::{Error, Result};
use crate::kick::{is_kick, kick};
use crate::parse::{argument, parse};
use crate::request::Request;
use crate::ring::{Completion, Ring, Token, Waiting};
use crate::slot::{RecordFlags, SlotIndex, SlotRecord, Slots};
use crate::stats::{add, subtract};

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
    /// The kernel may fill it (ring), or it is free (/dev/fuse).
    Idle,
    /// A request is in it; its holder owes a commit. `blocking`: it may wait for another request.
    Held { unique: u64, no_reply: bool, blocking: bool },
    /// The reply is on its way to the kernel (ring).
    Committed { unique: u64 },
    /// The kernel gave it up: the queue was refused, or the connection ended.
    Dead,
}

/// Whom a slot serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The queue at this index of [`Channel::queues`].
    Queue(usize),
    /// The reader of /dev/fuse.
    Device,
}

/// One of the kernel's queues, or /dev/fuse.
#[derive(Debug, Clone, Copy)]
struct Queue {
    id: u16,
    /// Slots that requests can come in: for a ring's queue, those that the kernel knows as entries.
    entries: usize,
    /// Those of them that hold a request.
    held: usize,
    /// Those of them that hold a request that may wait for another.
    blocking: usize,
}

impl Queue {
    fn new(id: u16) -> Self {
        Self { id, entries: 0, held: 0, blocking: 0 }
    }

    /// Whether more than half of its slots are held: the others are to be there before requests wait for them.
    fn runs_out(&self) -> bool {
        self.held * 2 > self.entries
    }

    /// How many slots it is to get more: some if it runs out of them, up to `depth`, and beyond that one for each
    /// request that may wait for another, so that the one it waits for finds a slot.
    fn growth(&self, depth: usize) -> usize {
        let most = depth + self.blocking.min(MOST_BLOCKING);
        if self.runs_out() { most.saturating_sub(self.entries).min(GROWTH) } else { 0 }
    }
}

/// Slots that a queue begins with, and that it gets more at a time.
const GROWTH: usize = 8;

/// Requests of one queue that may wait for another request at once, beyond the queue's depth. Further ones fail
/// with ENOLCK.
const MOST_BLOCKING: usize = 1024;

/// How a holder answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The first so many bytes of the slot's payload are the reply.
    Payload(usize),
    /// The caller gets this error.
    Error(Errno),
}

/// A commit for a slot that holds no request, or with more payload than a slot has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("slot {0} holds no request, or its reply is longer than its payload")]
pub struct NotHeld(pub SlotIndex);

/// The queues, slots and descriptors of one serving thread.
#[derive(Debug)]
pub struct Channel {
    // Dropped first: the ring lets go of the slots' memory before it is unmapped.
    ring: Option<Ring>,
    connection: Arc<Connection>,
    queues: Vec<Queue>,
    device: Queue,
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
    /// Slots whose requests callers want to give up, since the last turn.
    interrupted: Vec<SlotIndex>,
    /// Interrupts whose requests have not arrived here.
    early_interrupts: Vec<u64>,
    device_idle: Vec<SlotIndex>,
    reads_device: bool,
    device_readable: bool,
    refusal: Option<Errno>,
    ended: bool,
}

impl Channel {
    /// Sets up a channel, see [`crate::Handshake::channel`]. Without queues it needs no io_uring.
    ///
    /// Everything that can fail happens here, so that FUSE_INIT can still be answered without the ring.
    pub(crate) fn new(
        connection: Arc<Connection>,
        queues: Vec<u16>,
        depth: usize,
        waiting: Waiting,
        reads_device: bool,
    ) -> Result<Self> {
        let owners = queues.len() + usize::from(reads_device);
        let capacity = owners * (depth + MOST_BLOCKING);
        let slots = Slots::new(capacity, connection.agreement().payload_size())?;
        let ring = if queues.is_empty() {
            None
        } else {
            Some(Ring::new(capacity, queues.len() * depth, waiting, connection.device())?)
        };
        let mut channel = Self {
            ring,
            states: Vec::new(),
            owners: Vec::new(),
            ready: Vec::new(),
            known: 0,
            interrupted: Vec::new(),
            early_interrupts: Vec::new(),
            device_idle: Vec::new(),
            reads_device,
            device_readable: reads_device,
            refusal: None,
            ended: false,
            connection,
            queues: queues.into_iter().map(Queue::new).collect(),
            device: Queue::new(0),
            depth,
            exhausted: Vec::new(),
            slots,
        };
        if reads_device {
            channel.add_device_slots(depth.min(GROWTH))?;
        }
        for queue in 0..channel.queues.len() {
            channel.add_slots(Owner::Queue(queue), depth.min(GROWTH))?;
        }
        Ok(channel)
    }

    fn add_slots(&mut self, owner: Owner, count: usize) -> Result<Range<SlotIndex>> {
        let added = self.slots.add(count, owner == Owner::Device)?;
        self.states.resize(added.end as usize, State::Idle);
        self.owners.resize(added.end as usize, owner);
        Ok(added)
    }

    fn add_device_slots(&mut self, count: usize) -> Result<()> {
        let added = self.add_slots(Owner::Device, count)?;
        self.device.entries += added.len();
        self.device_idle.extend(added);
        Ok(())
    }

    /// Makes the calling thread the channel's owner and gives the kernel the slots. To be called once, after
    /// FUSE_INIT was answered.
    ///
    /// # Errors
    /// [`Error::IoUring`].
    pub fn start(&mut self) -> Result<()> {
        let Some(ring) = &mut self.ring else { return Ok(()) };
        ring.adopt()?;
        if self.reads_device {
            ring.watch(self.connection.device().as_fd().as_raw_fd());
        }
        for (slot, owner) in (0..).zip(self.owners.clone()) {
            if let Owner::Queue(queue) = owner {
                self.register(queue, slot);
            }
        }
        self.submit(0)?;
        // A refusal comes at once. Requests that are here already are ready for the first turn.
        self.take_completions();
        Ok(())
    }

    /// Gives a new slot to the kernel as an entry of its queue.
    fn register(&mut self, queue: usize, slot: SlotIndex) {
        self.queues[queue].entries += 1;
        self.push_register(queue, slot);
    }

    fn push_register(&mut self, queue: usize, slot: SlotIndex) {
        let size = self.connection.agreement().payload_size();
        if let Some(ring) = &mut self.ring {
            ring.register(self.queues[queue].id, slot, &self.slots, size);
        }
    }

    /// Gives queues that run out of slots some more.
    fn grow(&mut self) -> Result<()> {
        for index in std::mem::take(&mut self.exhausted) {
            let queue = self.queues[index];
            let growth = queue.growth(self.depth);
            if growth > 0 {
                for slot in self.add_slots(Owner::Queue(index), growth)? {
                    self.register(index, slot);
                }
                self.submit(0)?;
                // The kick waits in the kernel until it is answered, and so does the end of a process that is killed
                // meanwhile: only where requests wait for one another is there no other way.
                if queue.blocking > 0 {
                    kick(&self.connection, queue.id, growth);
                }
            }
        }
        Ok(())
    }

    /// The descriptor that becomes readable when [`Channel::turn`] has something to do.
    #[must_use]
    pub fn poll_fd(&self) -> RawFd {
        self.ring.as_ref().map_or_else(|| self.connection.device().as_fd().as_raw_fd(), AsRawFd::as_raw_fd)
    }

    /// The slots.
    #[must_use]
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// The mount that the channel serves.
    #[must_use]
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
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
    /// descriptor is readable all the same.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        self.ring.is_some() || !self.device_idle.is_empty() || self.device.growth(self.depth) > 0
    }

    /// Slots whose callers gave up waiting (FUSE_INTERRUPT), since this was last asked.
    pub fn take_interrupted(&mut self) -> Vec<SlotIndex> {
        std::mem::take(&mut self.interrupted)
    }

    /// Gives all commits to the kernel and takes the requests that are ready.
    ///
    /// # Errors
    /// [`Error::IoUring`] or [`Error::Device`]: the channel is of no use any more.
    pub fn turn(&mut self, wait: Wait) -> Result<&[SlotIndex]> {
        self.ready.drain(..self.known);
        if self.ring.is_some() {
            self.turn_ring(wait)?;
        } else {
            self.turn_device(wait)?;
        }
        if !self.ready.is_empty() {
            add(&self.connection.counters().batches, 1);
        }
        self.known = self.ready.len();
        Ok(&self.ready)
    }

    fn turn_ring(&mut self, wait: Wait) -> Result<()> {
        let ring = self.ring.as_mut().expect("called with a ring");
        if ring.has_submissions() || ring.has_completions() {
            self.submit(0)?;
        }
        self.receive()?;
        if self.ready.is_empty() && !self.ended {
            self.wait(wait)?;
            self.receive()?;
        }
        // Requests that were answered on arrival: nobody may turn again for them.
        while self.ring.as_mut().is_some_and(Ring::has_submissions) {
            self.submit(0)?;
            self.receive()?;
        }
        Ok(())
    }

    fn wait(&mut self, wait: Wait) -> Result<()> {
        match wait {
            Wait::Block => self.submit(1),
            Wait::Poll(duration) if !duration.is_zero() => {
                let deadline = Instant::now() + duration;
                while self.ready.is_empty() && !self.ended && Instant::now() < deadline {
                    if self.ring.as_mut().is_some_and(Ring::has_completions) {
                        self.submit(0)?;
                        self.take_completions();
                    } else {
                        std::thread::yield_now();
                    }
                }
                Ok(())
            }
            Wait::Poll(_) => Ok(()),
        }
    }

    /// Takes what the kernel has, and gives it more slots where all are held.
    fn receive(&mut self) -> Result<()> {
        self.take_completions();
        if self.device_readable {
            self.read_device()?;
        }
        if self.exhausted.is_empty() { Ok(()) } else { self.grow() }
    }

    fn turn_device(&mut self, wait: Wait) -> Result<()> {
        self.read_device()?;
        if !self.ready.is_empty() || self.ended {
            return Ok(());
        }
        let timeout = match wait {
            Wait::Block => PollTimeout::NONE,
            Wait::Poll(_) => return Ok(()),
        };
        let mut fds = [PollFd::new(self.connection.device().as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => self.read_device(),
            Err(errno) => Err(Error::Device { operation: "poll", errno, remedy: "the mount cannot go on" }),
        }
    }

    fn submit(&mut self, minimum: u32) -> Result<()> {
        add(&self.connection.counters().enters, 1);
        self.ring.as_mut().map_or(Ok(()), |ring| ring.enter(minimum))
    }

    fn take_completions(&mut self) {
        while let Some(completion) = self.ring.as_mut().and_then(Ring::next) {
            match completion.token {
                Token::Slot(slot) => self.complete(slot, completion.result),
                Token::Watch => self.device_event(completion),
            }
        }
    }

    fn device_event(&mut self, completion: Completion) {
        self.device_readable = true;
        if !completion.more
            && !self.ended
            && let Some(ring) = &mut self.ring
        {
            ring.watch(self.connection.device().as_fd().as_raw_fd());
        }
    }

    /// The kernel is done with a slot's REGISTER or COMMIT_AND_FETCH.
    fn complete(&mut self, slot: SlotIndex, result: i32) {
        let index = slot as usize;
        if result >= 0 {
            add(&self.connection.counters().ring_requests, 1);
            let length = self.slots.entry(slot).payload_sz as usize;
            self.arrive(slot, length);
            return;
        }
        match Errno::from_raw(-result) {
            // The kernel had no memory for its part, or INIT was not quite processed: again. The states tell
            // which command it was: a committed slot's reply is still in its header block.
            Errno::EAGAIN | Errno::EINTR => match (self.owners[index], self.states[index]) {
                (Owner::Queue(queue), State::Committed { unique }) => self.push_commit(queue, slot, unique),
                (Owner::Queue(queue), _) => self.push_register(queue, slot),
                (Owner::Device, _) => {}
            },
            errno => {
                // At the end of a connection an entry is given back, also one whose last reply was taken.
                if !matches!(errno, Errno::ENOTCONN | Errno::ECANCELED | Errno::ECONNABORTED) {
                    if matches!(self.states[index], State::Committed { .. }) {
                        add(&self.connection.counters().refused_replies, 1);
                    } else {
                        self.refusal = Some(errno);
                    }
                }
                self.states[index] = State::Dead;
                if let Owner::Queue(queue) = self.owners[index] {
                    self.queues[queue].entries -= 1;
                }
                // Without /dev/fuse to read the end from, it shows in the last entry that is given up.
                self.ended |= !self.reads_device && self.queues.iter().all(|queue| queue.entries == 0);
            }
        }
    }

    /// A request is in the slot: parse it, and list it as ready or refuse it.
    fn arrive(&mut self, slot: SlotIndex, payload_length: usize) {
        let header = self.slots.in_header(slot);
        if self.is_held_already(header.unique) {
            self.states[slot as usize] = State::Idle;
            self.device_idle.push(slot);
            return;
        }
        let arguments = self.slots.arguments(slot);
        let payload_length = payload_length.min(self.slots.payload_size());
        let parsed = self.slots.with_payload(slot, payload_length, |payload| {
            parse(&header, &arguments, payload, self.connection.agreement().setxattr_ext())
        });
        let record = parsed.as_ref().copied().unwrap_or_default();
        let no_reply = record.flags & RecordFlags::NO_REPLY.bits() != 0;
        let blocking = record.opcode == Opcode::Setlkw as u32;
        self.states[slot as usize] = State::Held { unique: header.unique, no_reply, blocking };
        let too_many = self.hold(slot, blocking);
        match parsed {
            Ok(_) if header.opcode == Opcode::Interrupt as u32 => {
                self.interrupt(argument::<InterruptIn>(&arguments).unique);
                self.answer(slot, Answer::Payload(0));
            }
            Ok(_) if header.opcode == Opcode::NotifyReply as u32 && is_kick(header.unique) => {
                self.answer(slot, Answer::Payload(0));
            }
            Ok(_) if too_many => self.answer(slot, Answer::Error(Errno::ENOLCK)),
            Ok(record) => {
                self.count_forgets(&record, &arguments);
                self.slots.set_record(slot, record);
                self.ready.push(slot);
                self.match_early_interrupt(slot, header.unique);
            }
            Err(_) => {
                add(&self.connection.counters().malformed, 1);
                self.answer(slot, Answer::Error(Errno::EIO));
            }
        }
    }

    /// Counts a request that its queue now holds; says whether it is one too many of those that may wait for
    /// another.
    fn hold(&mut self, slot: SlotIndex, blocking: bool) -> bool {
        add(&self.connection.counters().outstanding, 1);
        let owner = self.owners[slot as usize];
        let queue = self.queue(owner);
        queue.held += 1;
        queue.blocking += usize::from(blocking);
        let (runs_out, blocking) = (queue.runs_out(), queue.blocking);
        if let Owner::Queue(index) = owner
            && runs_out
        {
            self.exhausted.push(index);
        }
        blocking > MOST_BLOCKING
    }

    fn queue(&mut self, owner: Owner) -> &mut Queue {
        match owner {
            Owner::Queue(index) => &mut self.queues[index],
            Owner::Device => &mut self.device,
        }
    }

    /// Lets `handler` answer every request that the last turn made ready.
    pub(crate) fn answer_ready(&mut self, handler: impl Fn(Request<'_>) -> Answer) {
        self.known = 0;
        for slot in std::mem::take(&mut self.ready) {
            let header = self.slots.in_header(slot);
            let arguments = self.slots.arguments(slot);
            let record = self.slots.record(slot);
            let answer = self
                .slots
                .with_payload_mut(slot, |payload| handler(Request::new(header, arguments, record, payload)));
            self.answer(slot, answer);
        }
    }

    /// Whether a request that was sent again is the one that a slot holds: then that slot's reply is the one to the
    /// new id. Only requests from /dev/fuse are sent again (`fuse_resend` of Linux 6.9 to 6.18 leaves the ring's alone).
    fn is_held_already(&mut self, resent: u64) -> bool {
        resent & UNIQUE_RESEND != 0
            && self.states.iter_mut().any(|state| match state {
                State::Held { unique, .. } if *unique | UNIQUE_RESEND == resent => {
                    *unique = resent;
                    true
                }
                _ => false,
            })
    }

    fn count_forgets(&self, record: &SlotRecord, arguments: &[u8; 128]) {
        let forgets = match Opcode::try_from(record.opcode) {
            Ok(Opcode::Forget) => 1,
            Ok(Opcode::BatchForget) => argument::<BatchForgetIn>(arguments).count.into(),
            _ => return,
        };
        add(&self.connection.counters().forget_requests, forgets);
    }

    fn interrupt(&mut self, unique: u64) {
        add(&self.connection.counters().interrupts, 1);
        let held = |state: &State| matches!(state, State::Held { unique: held, .. } if *held == unique);
        match self.states.iter().position(held).and_then(|slot| SlotIndex::try_from(slot).ok()) {
            Some(slot) => self.interrupted.push(slot),
            // It overtook its request on the way, or came after the reply. The list stays as short as the
            // requests that can be under way.
            None if self.early_interrupts.len() < self.states.len() => self.early_interrupts.push(unique),
            None => self.early_interrupts[0] = unique,
        }
    }

    fn match_early_interrupt(&mut self, slot: SlotIndex, unique: u64) {
        if let Some(index) = self.early_interrupts.iter().position(|early| *early == unique) {
            self.early_interrupts.swap_remove(index);
            self.interrupted.push(slot);
        }
    }

    /// Answers the request in the slot. The slot is the kernel's from then on.
    ///
    /// # Errors
    /// [`NotHeld`]: nothing was done.
    pub fn commit(&mut self, slot: SlotIndex, answer: Answer) -> Result<(), NotHeld> {
        let held = matches!(self.states.get(slot as usize), Some(State::Held { .. }));
        let fits = !matches!(answer, Answer::Payload(length) if length > self.slots.payload_size());
        if held && fits {
            self.answer(slot, answer);
            Ok(())
        } else {
            Err(NotHeld(slot))
        }
    }

    fn answer(&mut self, slot: SlotIndex, answer: Answer) {
        let State::Held { unique, no_reply, blocking } = self.states[slot as usize] else { return };
        subtract(&self.connection.counters().outstanding, 1);
        let (error, length) = match answer {
            Answer::Payload(length) => (0, length),
            Answer::Error(errno) => (-(errno as i32), 0),
        };
        let size = u32::try_from(length).unwrap_or(u32::MAX);
        let header = OutHeader::new(unique, error, length);
        let owner = self.owners[slot as usize];
        let queue = self.queue(owner);
        queue.held -= 1;
        queue.blocking -= usize::from(blocking);
        match owner {
            Owner::Queue(queue) => {
                self.slots.set_reply(slot, header, size);
                self.states[slot as usize] = State::Committed { unique };
                self.push_commit(queue, slot, unique);
            }
            Owner::Device => {
                if !no_reply {
                    self.reply_to_device(header, slot, length);
                }
                self.states[slot as usize] = State::Idle;
                self.device_idle.push(slot);
            }
        }
        if !no_reply {
            add(&self.connection.counters().replies, 1);
        }
    }

    fn push_commit(&mut self, queue: usize, slot: SlotIndex, unique: u64) {
        if let Some(ring) = &mut self.ring {
            ring.commit(self.queues[queue].id, slot, unique);
        }
    }

    fn reply_to_device(&self, header: OutHeader, slot: SlotIndex, length: usize) {
        let device = self.connection.device();
        if let Err(errno) = device.reply(header, &self.slots, slot, length) {
            add(&self.connection.counters().refused_replies, 1);
            // A reply of a wrong length leaves the request waiting (EINVAL); end it.
            if errno == Errno::EINVAL {
                let _ = device.reply_bytes(header.unique, -(Errno::EIO as i32), &[]);
            }
        }
    }

    fn end(&mut self) {
        self.device_readable = false;
        self.ended = true;
        self.connection.set_ended();
    }

    /// Reads requests from /dev/fuse into idle slots until there is none of either.
    fn read_device(&mut self) -> Result<()> {
        loop {
            self.add_device_slots(self.device.growth(self.depth))?;
            let Some(slot) = self.device_idle.pop() else {
                // Nothing can be read, not even the end.
                if self.connection.device().has_ended() {
                    self.end();
                }
                return Ok(());
            };
            let setxattr_ext = self.connection.agreement().setxattr_ext();
            let arrival = self.connection.device().read(&self.slots, slot, setxattr_ext);
            if !matches!(arrival, Ok(Arrival::Request { .. })) {
                self.device_idle.push(slot);
            }
            match arrival {
                Ok(Arrival::Request { payload_length }) => {
                    add(&self.connection.counters().device_requests, 1);
                    self.arrive(slot, payload_length);
                }
                Ok(Arrival::Garbled { unique }) => {
                    add(&self.connection.counters().malformed, 1);
                    let _ = self.connection.device().reply_bytes(unique, -(Errno::EIO as i32), &[]);
                }
                Ok(Arrival::Nothing) => {
                    self.device_readable = false;
                    return Ok(());
                }
                Ok(Arrival::Ended) => {
                    self.end();
                    return Ok(());
                }
                Err(errno) => {
                    return Err(Error::Device { operation: "read", errno, remedy: "the mount cannot go on" });
                }
            }
        }
    }
}
