//! A serving thread's channel to the kernel: the queues that it owns, their slots, and /dev/fuse.
//!
//! A request's way: the kernel fills a slot and completes its entry; [`Channel::turn`] takes the completion,
//! parses the slot in place and lists it as ready; its holder answers with [`Channel::commit`], which pushes
//! COMMIT_AND_FETCH; the next turn hands all commits to the kernel with one `io_uring_enter`.

use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fuse_abi::{BatchForgetIn, InterruptIn, Opcode, OutHeader};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::connection::Connection;
use crate::device::Arrival;
use crate::error::{Error, Result};
use crate::parse::{argument, parse};
use crate::request::Request;
use crate::ring::{Completion, Ring, Token, Waiting};
use crate::slot::{RecordFlags, SlotIndex, SlotRecord, Slots};
use crate::stats::add;

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
    /// A request is in it; its holder owes a commit.
    Held { unique: u64, no_reply: bool },
    /// The reply is on its way to the kernel (ring).
    Committed { unique: u64 },
    /// The kernel gave it up: the queue was refused, or the connection ended.
    Dead,
}

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
    queues: Vec<u16>,
    depth: usize,
    slots: Slots,
    states: Vec<State>,
    ready: Vec<SlotIndex>,
    /// Slots whose requests callers want to give up, since the last turn.
    interrupted: Vec<SlotIndex>,
    /// Interrupts whose requests have not arrived here.
    early_interrupts: Vec<u64>,
    device_idle: Vec<SlotIndex>,
    reads_device: bool,
    device_readable: bool,
    /// Number of slots that are [`State::Dead`].
    dead: usize,
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
        let device_slots = if reads_device { depth } else { 0 };
        let slots = Slots::new(queues.len(), depth, device_slots, connection.agreement().payload_size())?;
        let ring = if queues.is_empty() {
            None
        } else {
            Some(Ring::new(slots.queue_slots(), waiting, connection.device())?)
        };
        let device_slots = slots.queue_slots()..slots.len();
        Ok(Self {
            ring,
            states: vec![State::Idle; slots.len()],
            ready: Vec::with_capacity(slots.len()),
            interrupted: Vec::new(),
            early_interrupts: Vec::new(),
            device_idle: device_slots.rev().filter_map(|slot| SlotIndex::try_from(slot).ok()).collect(),
            reads_device,
            device_readable: reads_device,
            dead: 0,
            refusal: None,
            ended: false,
            connection,
            queues,
            depth,
            slots,
        })
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
        for slot in 0..self.slots.queue_slots() {
            self.register(slot);
        }
        self.submit(0)
    }

    fn register(&mut self, slot: usize) {
        let (Some(ring), Ok(index)) = (&mut self.ring, SlotIndex::try_from(slot)) else { return };
        let size = self.connection.agreement().payload_size();
        ring.register(self.queues[slot / self.depth], index, &self.slots, size);
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
        self.ring.is_some() || !self.device_idle.is_empty()
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
        self.ready.clear();
        if self.ring.is_some() {
            self.turn_ring(wait)?;
        } else {
            self.turn_device(wait)?;
        }
        if !self.ready.is_empty() {
            add(&self.connection.counters().batches, 1);
        }
        Ok(&self.ready)
    }

    fn turn_ring(&mut self, wait: Wait) -> Result<()> {
        let ring = self.ring.as_mut().expect("called with a ring");
        if ring.has_submissions() || ring.has_completions() {
            self.submit(0)?;
        }
        self.take_completions();
        if self.device_readable {
            self.read_device()?;
        }
        if !self.ready.is_empty() || self.ended {
            return Ok(());
        }
        match wait {
            Wait::Block => {
                self.submit(1)?;
                self.take_completions();
            }
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
            }
            Wait::Poll(_) => {}
        }
        if self.device_readable { self.read_device() } else { Ok(()) }
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
            Errno::EAGAIN | Errno::EINTR => match self.states[index] {
                State::Committed { unique } => self.push_commit(slot, unique),
                _ => self.register(index),
            },
            errno => {
                if matches!(self.states[index], State::Committed { .. }) {
                    add(&self.connection.counters().refused_replies, 1);
                } else if !matches!(errno, Errno::ENOTCONN | Errno::ECANCELED | Errno::ECONNABORTED) {
                    self.refusal = Some(errno);
                }
                self.states[index] = State::Dead;
                self.dead += 1;
                // Without /dev/fuse to read the end from, it shows in the last entry that is given up.
                self.ended |= !self.reads_device && self.dead == self.slots.queue_slots();
            }
        }
    }

    /// A request is in the slot: parse it, and list it as ready or refuse it.
    fn arrive(&mut self, slot: SlotIndex, payload_length: usize) {
        let header = self.slots.in_header(slot);
        let arguments = self.slots.arguments(slot);
        let payload_length = payload_length.min(self.slots.payload_size());
        let parsed = self.slots.with_payload(slot, payload_length, |payload| {
            parse(&header, &arguments, payload, self.connection.agreement().setxattr_ext())
        });
        let record = parsed.as_ref().copied().unwrap_or_default();
        let no_reply = record.flags & RecordFlags::NO_REPLY.bits() != 0;
        self.states[slot as usize] = State::Held { unique: header.unique, no_reply };
        match parsed {
            Ok(_) if header.opcode == Opcode::Interrupt as u32 => {
                self.interrupt(argument::<InterruptIn>(&arguments).unique);
                self.answer(slot, Answer::Payload(0));
            }
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

    /// Lets `handler` answer every request that the last turn made ready.
    pub(crate) fn answer_ready(&mut self, handler: impl Fn(Request<'_>) -> Answer) {
        for slot in std::mem::take(&mut self.ready) {
            let header = self.slots.in_header(slot);
            let arguments = self.slots.arguments(slot);
            let record = self.slots.record(slot);
            let answer = self.slots.with_payload_mut(slot, |payload| {
                handler(Request::new(header, arguments, record, payload))
            });
            self.answer(slot, answer);
        }
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
        let State::Held { unique, no_reply } = self.states[slot as usize] else { return };
        let (error, length) = match answer {
            Answer::Payload(length) => (0, length),
            Answer::Error(errno) => (-(errno as i32), 0),
        };
        let size = u32::try_from(length).unwrap_or(u32::MAX);
        let header = OutHeader { len: size + size_of::<OutHeader>() as u32, error, unique };
        if (slot as usize) < self.slots.queue_slots() {
            self.slots.set_reply(slot, header, size);
            self.states[slot as usize] = State::Committed { unique };
            self.push_commit(slot, unique);
        } else {
            if !no_reply {
                self.reply_to_device(header, slot, length);
            }
            self.states[slot as usize] = State::Idle;
            self.device_idle.push(slot);
        }
        if !no_reply {
            add(&self.connection.counters().replies, 1);
        }
    }

    fn push_commit(&mut self, slot: SlotIndex, unique: u64) {
        let queue = self.queues[slot as usize / self.depth];
        if let Some(ring) = &mut self.ring {
            ring.commit(queue, slot, unique);
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

    /// Reads requests from /dev/fuse into idle slots until there is none of either.
    fn read_device(&mut self) -> Result<()> {
        while let Some(slot) = self.device_idle.pop() {
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
                    self.device_readable = false;
                    self.ended = true;
                    self.connection.set_ended();
                    return Ok(());
                }
                Err(errno) => {
                    return Err(Error::Device { operation: "read", errno, remedy: "the mount cannot go on" });
                }
            }
        }
        Ok(())
    }
}
