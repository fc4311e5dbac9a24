//! The answer to a request, and its slot's way back.

use fuse_abi::OutHeader;
use nix::errno::Errno;

use crate::channel::queue::Owner;
use crate::channel::{Channel, State};
use crate::error::Result;
use crate::kernel::{DeviceSide, Kernel};
use crate::request::Request;
use crate::slot::SlotIndex;
use crate::stats::{add, subtract};

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

impl<K: Kernel> Channel<K> {
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

    /// Answers a batch of requests. A commit that cannot be made takes no other with it: it is counted as a refused
    /// reply, and if there is a request in its slot, its caller gets EIO.
    pub fn commit_all(&mut self, commits: impl IntoIterator<Item = (SlotIndex, Answer)>) {
        for (slot, answer) in commits {
            if self.commit(slot, answer).is_err() {
                add(&self.counters.refused_replies, 1);
                // Where there is no request, there is nobody to tell.
                let _ = self.commit(slot, Answer::Error(Errno::EIO));
            }
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

    pub(super) fn answer(&mut self, slot: SlotIndex, answer: Answer) {
        let State::Held { unique, no_reply, blocking } = self.states[slot as usize] else { return };
        subtract(&self.counters.outstanding, 1);
        let (error, length) = match answer {
            Answer::Payload(length) => (0, length),
            Answer::Error(errno) => (-(errno as i32), 0),
        };
        let size = u32::try_from(length).unwrap_or(u32::MAX);
        let header = OutHeader::new(unique, error, length);
        let owner = self.owners[slot as usize];
        self.queue(owner).release(blocking);
        match owner {
            Owner::Queue(queue) => {
                self.slots.set_reply(slot, header, size);
                self.push_commit(queue, slot, unique);
            }
            Owner::Device => {
                if !no_reply {
                    self.reply_to_device(header, slot, length);
                }
                self.states[slot as usize] = State::Free;
                self.device_idle.push(slot);
            }
        }
        if !no_reply {
            add(&self.counters.replies, 1);
        }
    }

    pub(super) fn reply_to_device(&self, header: OutHeader, slot: SlotIndex, length: usize) {
        if let Err(errno) = self.device.reply(header, &self.slots, slot, length) {
            add(&self.counters.refused_replies, 1);
            // A reply of a wrong length leaves the request waiting (EINVAL); end it.
            if errno == Errno::EINVAL {
                let _ = self.device.reply_bytes(header.unique, -(Errno::EIO as i32), &[]);
            }
        }
    }
}
