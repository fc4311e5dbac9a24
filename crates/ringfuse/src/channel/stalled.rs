//! A channel whose thread does not come to its requests, as the watchdog sees it.

use std::os::fd::{AsRawFd, RawFd};

use fuse_abi::OutHeader;
use nix::errno::Errno;

use crate::channel::queue::{GROWTH, Queue};
use crate::channel::{Answer, Channel, State};
use crate::kernel::{Kernel, RingSide};
use crate::ring::Waiting;
use crate::slot::SlotIndex;
use crate::stats::add;

/// A request that was taken and not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldRequest {
    /// Where it is.
    pub slot: SlotIndex,
    /// Its id.
    pub unique: u64,
    /// What it asks for.
    pub opcode: u32,
    /// What it is about.
    pub nodeid: u64,
    /// Whose it is: a thread's id, 0 for the kernel.
    pub pid: u32,
}

impl<K: Kernel> Channel<K> {
    /// The requests that somebody waits for, of those that were taken.
    #[must_use]
    pub fn held(&self) -> Vec<HeldRequest> {
        let held = |(slot, state): (SlotIndex, &State)| match state {
            State::Held { unique, no_reply: false, .. } => {
                let header = self.slots.in_header(slot);
                let opcode = self.slots.record(slot).opcode;
                Some(HeldRequest { slot, unique: *unique, opcode, nodeid: header.nodeid, pid: header.pid })
            }
            _ => None,
        };
        (0..).zip(&self.states).filter_map(held).collect()
    }

    /// Answers the requests that wait and are `wanted`, in the place of the thread that should have, and returns those
    /// that it knows of. Their slots stay with their holders, whose replies will go nowhere. Requests that nobody waits for stay for
    /// the thread.
    ///
    /// Nothing is done with a ring: its requests belong to its thread.
    pub fn answer_in_place(
        &mut self,
        errno: Errno,
        wanted: impl Fn(&HeldRequest) -> bool,
    ) -> Option<Vec<HeldRequest>> {
        if self.ring.is_some() {
            return None;
        }
        let mut answered = Vec::new();
        loop {
            self.take_in_place();
            let mut held = self.held();
            held.retain(&wanted);
            for request in &held {
                self.answer_early(request, errno);
            }
            let more = !held.is_empty();
            answered.extend(held);
            if !more {
                return Some(answered);
            }
        }
    }

    /// Takes the requests that wait for the thread, where any thread can: from /dev/fuse, but not from
    /// a ring. They become ready, and [`held`](Self::held) lists them. If handlers hold all slots,
    /// there are some more for what waits behind them.
    pub fn take_in_place(&mut self) {
        if self.ring.is_some() {
            return;
        }
        // An error shows in the thread's own next turn.
        while self.read_device().is_ok()
            && self.device_idle.is_empty()
            && !self.ended
            && self.slots.count() < self.slots.capacity()
        {
            let count = GROWTH.min(self.slots.capacity() - self.slots.count());
            if self.add_device_slots(count).is_err() {
                return;
            }
        }
    }

    /// Whether each queue has a slot for another request.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let queues_have = self.queues.iter().all(Queue::has_room);
        queues_have && (self.ring.is_some() || self.can_read_device())
    }

    /// The ring's descriptor, if another thread can let go of the ring.
    pub(crate) fn abandonable_ring(&self) -> Option<RawFd> {
        self.ring.as_ref().filter(|_| self.waiting == Waiting::Eventfd).map(AsRawFd::as_raw_fd)
    }

    /// Lets go of a ring whose thread is stuck in the kernel: requests that were given to that thread, and that it never
    /// takes, are ended by that. A connection that lost its ring is to be ended.
    ///
    /// Only a ring of [`crate::Waiting::Eventfd`] can be let go of.
    pub fn abandon_ring(&mut self) {
        if self.abandonable_ring().is_some()
            && let Some(ring) = self.ring.take()
        {
            ring.close();
            self.end();
        }
    }

    fn answer_early(&mut self, request: &HeldRequest, errno: Errno) {
        let HeldRequest { slot, unique, .. } = *request;
        let State::Held { blocking, .. } = self.states[slot as usize] else { return };
        let header = OutHeader::new(unique, -(errno as i32), 0);
        self.reply_to_device(header, slot, 0);
        add(&self.counters.replies, 1);
        // From here on it is as a request that nobody waits for.
        self.states[slot as usize] = State::Held { unique, no_reply: true, blocking };
        // One that its thread has not seen is not worth its while.
        if let Some(index) = self.ready.iter().skip(self.known).position(|ready| *ready == slot) {
            self.ready.remove(self.known + index);
            self.answer(slot, Answer::Payload(0));
        }
    }
}
